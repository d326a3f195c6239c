"""A small file system of its own that is full before a run has ended, and gets room before it is resumed."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.chaos.cases import Case, Chaos, Skipped, bad_end, keep_if

PAGE = os.sysconf("SC_PAGE_SIZE")
SHARES = (0.0, 0.05, 0.1, 0.3, 0.6, 0.9, 0.97)  # of the pages that a run without checkpoints, and one with, takes
METHODS = ("majority_vote", "aqa_ttrl")
ROOM = "64m"


def small_disks(chaos: Chaos) -> Iterator[tuple[str, Case]]:
    """Each method on a tmpfs that holds a share of what the run takes."""
    for method in METHODS:
        files = [path.stat().st_size for path in chaos.whole[method].rglob("*") if path.is_file()]
        pages = sum(-(-size // PAGE) for size in files)
        for share in SHARES:
            size = PAGE * max(1, round(share * pages))
            yield f"{method}, {size} bytes", lambda m=method, s=size: _filled(chaos, m, s)


def _filled(chaos: Chaos, method: str, size: int) -> str | None:
    folder = chaos.place()
    folder.mkdir()
    _mount(folder, f"size={size}")
    try:
        ended = chaos.run(method, folder).wait()
        if ended.code != 1 or "space" not in ended.said:
            return f"it ended with {ended.code}: {ended.said[-300:]}"
        _mount(folder, f"remount,size={ROOM}")
        wrong = bad_end(ended) or chaos.again(folder, method, chaos.whole[method])
        if wrong:
            shutil.copytree(folder, folder.with_name(f"{folder.name}-kept"))
    finally:
        subprocess.run(["umount", folder], check=True)
    return keep_if(None, folder) or wrong


def _mount(folder: Path, options: str) -> None:
    """``Skipped`` where this process may not."""
    try:
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "chaos", folder], check=True, capture_output=True, text=True
        )
    except (OSError, subprocess.CalledProcessError) as error:
        said = getattr(error, "stderr", None) or str(error)
        raise Skipped(f"no tmpfs can be mounted: {' '.join(said.split())}") from None
