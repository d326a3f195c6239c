"""Fuzz, led by coverage: ``python -m tests.fuzz [--seconds 120] [--target NAME] [--keep DIR] [--jobs 1]``.

The seconds are shared out between the targets, each of which runs in processes of its own (``child``). One that is
ended by a finding (a hang, memory, a crash of native code) is begun again, with the inputs that it had found, until its
time is over. What is found stays in ``--keep``: inputs with what they end in, and the inputs that reached new code.

Prints the counts as a table and as JSON; ends with 1 where there are findings.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import re
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tabulate import tabulate

from tests.fuzz.child import SLOW
from tests.fuzz.targets import TARGETS

LEAST = 3.0  # seconds for which a process is worth its start
OURS = 1  # the exit code of a process that has recorded findings and used its time


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=120, help="of all targets together, for each of --jobs")
    parser.add_argument("--target", choices=TARGETS, action="append", help="only this; may be given several times")
    parser.add_argument("--keep", type=Path, help="where findings and inputs go (default: a temporary folder)")
    parser.add_argument("--jobs", type=int, default=1, help="targets at the same time")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    if importlib.util.find_spec("atheris") is None:
        print("tests.fuzz needs atheris: pip install -c constraints.txt atheris (Linux, Python 3.11 to 3.13).")
        return 1
    keep = args.keep or Path(tempfile.mkdtemp(prefix="fuzz-"))
    names = args.target or list(TARGETS)
    each = args.seconds * min(args.jobs, len(names)) / len(names)
    with ThreadPoolExecutor(args.jobs) as pool:
        found = list(pool.map(lambda name: fuzz(name, each, keep, args.seed), names))
    shown = ("target", "seconds", "inputs", "kept", "reached", "findings")
    print(tabulate([[one[key] for key in shown] for one in found], shown))
    for path in (path for one in found for path in one["files"]):
        print(f"{path}: {_first_line(path)}")
    print(json.dumps({"fuzz": found, "inputs": sum(one["inputs"] for one in found)}, default=str))
    return int(any(one["findings"] for one in found))


def fuzz(name: str, seconds: float, keep: Path, seed: int) -> dict[str, Any]:
    """Fuzz one target for so long; the counts."""
    findings, corpus, seeds = (keep / kind / name for kind in ("findings", "corpus", "seeds"))
    for made in (findings, corpus, seeds):
        made.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(TARGETS[name].seeds()):
        if len(data) <= TARGETS[name].longest:
            (seeds / str(number)).write_bytes(data)
    words = (f'"{"".join(f"{chr(92)}x{byte:02x}" for byte in word.encode())}"' for word in TARGETS[name].words)
    (keep / f"{name}.words").write_text("\n".join(words) + "\n")
    counts = {"inputs": 0, "reached": 0}
    began, sitting = time.monotonic(), 0
    while (left := seconds - (time.monotonic() - began)) > LEAST or not sitting:
        log = keep / f"{name}.{sitting}.log"
        asked = [sys.executable, "-m", "tests.fuzz.child", name, str(keep), str(int(left)), str(seed + sitting)]
        with log.open("wb") as said:
            code = subprocess.run(asked, stdout=said, stderr=said, check=False, timeout=left + 20 * SLOW).returncode
        told = log.read_text(errors="replace")
        counts["inputs"] += max([0, *map(int, re.findall(r"^#(\d+)\t", told, re.MULTILINE))])
        counts["reached"] = max([counts["reached"], *map(int, re.findall(r"\bcov: (\d+)", told))])
        sitting += 1
        if code and not any(findings.iterdir()):  # it did not even begin
            (findings / "begin.txt").write_text(told[-3000:])
            break
    files = sorted(findings.iterdir())
    return {
        "target": name, "seconds": round(time.monotonic() - began), **counts, "kept": len(list(corpus.iterdir())),
        "findings": len({path.stem for path in files}), "files": [path for path in files if path.suffix == ".txt"],
    }  # fmt: skip


def _first_line(path: Path) -> str:
    lines = path.read_text(errors="replace").strip().splitlines()
    return lines[-1][:200] if lines else ""


if __name__ == "__main__":
    sys.exit(main())
