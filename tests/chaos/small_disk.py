"""A small file system of its own that is full before a run has ended, and gets room before it is resumed."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.chaos.cases import Case, Chaos, Skipped, bad_end, keep_if

PAGE = os.sysconf("SC_PAGE_SIZE")
# Pages of it: one after another is where the records, the votes, the responses, the scores, the result do not fit.
VOTING = (*range(1, 15), 20)
# Of the bytes of an ended run that trains: under way it has two checkpoints with moments, and asks for their room.
TRAINING = (0.02, 0.1, 2.73, 2.75, 2.77, 2.79)
ROOM = "64m"


def small_disks(chaos: Chaos) -> Iterator[tuple[str, Case]]:
    """Runs on a tmpfs of several sizes."""
    whole = sum(path.stat().st_size for path in chaos.whole["aqa_ttrl"].rglob("*") if path.is_file())
    sizes = [("majority_vote", PAGE * pages) for pages in VOTING]
    sizes += [("aqa_ttrl", PAGE * max(1, int(share * whole / PAGE))) for share in TRAINING]
    for method, size in sizes:
        yield f"{method}, {size} bytes", lambda m=method, s=size: _filled(chaos, m, s)


def _filled(chaos: Chaos, method: str, size: int) -> str | None:
    folder = chaos.place()
    folder.mkdir()
    _mount(folder, f"size={size}")
    try:
        ended = chaos.run(method, folder).wait()
        if ended.code not in (0, 1):
            return f"it ended with {ended.code}: {ended.said[-300:]}"
        _mount(folder, f"remount,size={ROOM}")
        wrong = bad_end(ended) or chaos.again(folder, method, chaos.whole[method])
        if wrong:
            shutil.copytree(folder, folder.with_name(f"{folder.name}-kept"))
    finally:
        subprocess.run(["umount", folder], check=True)
    keep_if(None, folder)
    return wrong


def _mount(folder: Path, options: str) -> None:
    """``Skipped`` where this process may not."""
    try:
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "chaos", folder], check=True, capture_output=True, text=True
        )
    except (OSError, subprocess.CalledProcessError) as error:
        said = getattr(error, "stderr", None) or str(error)
        raise Skipped(f"no tmpfs can be mounted: {' '.join(said.split())}") from None
