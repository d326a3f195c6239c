"""bench/soak.py : a process is watched, growth is seen, and what is flat passes. The small form of it runs in CI."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import soak

LOOKS = range(1, 100)


def seen(mib_each: float = 0.0, files: int = 4, more_files: int = 0) -> list[soak.Seen]:
    return [soak.Seen(i, 100 + mib_each * i, files + more_files * (i > 90), 3) for i in LOOKS]


def test_what_grows_is_seen() -> None:
    flat = soak.figures(seen(), 100, 512)
    assert flat["ok"] and flat["grown_mib"] == 0 and flat["at"]["50%"] == {"rss_mib": 100, "files": 4, "threads": 3}
    grown = soak.figures(seen(mib_each=1.0), 100, 512)
    assert not grown["ok"] and grown["grown_mib"] == pytest.approx(90, abs=1)
    assert soak.figures(seen(more_files=1), 100, 512)["ok"], "it is being written"
    assert not soak.figures(seen(more_files=2), 100, 512)["ok"]
    with pytest.raises(SystemExit, match="too short"):
        soak.figures(seen()[:20], 100, 512)


WRITES = """
import sys, time
with open(sys.argv[1], "w", buffering=1) as file:
    for i in range(50):
        print(i, file=file)
        time.sleep(0.01)
"""


def test_a_process_is_watched_from_outside(tmp_path: Path) -> None:
    lines = soak.Lines(path := tmp_path / "lines")
    run = [sys.executable, "-c", WRITES, str(path)]
    looks = soak.watch(run, lines, tmp_path / "log", every=0.01)
    assert soak.figures(looks, 50, 512)["at"]["50%"]["threads"] == 1 and lines.now() == 50
    with pytest.raises(SystemExit, match=r"(?s)ended with 1: .*nowhere"):
        soak.watch([*run[:3], "/nowhere/x"], lines, tmp_path / "log", every=0.01)
