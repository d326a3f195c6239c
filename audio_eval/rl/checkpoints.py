"""Checkpoints of a training: how often one is due, and whether the disk has room.

Two are kept while a run goes on, so that the one before is there where the last one is damaged.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from audio_eval.checkpoint_sums import saved
from audio_eval.errors import UserError

STEP_BYTES = (
    2**30
)  # bytes that a step bears of the writing of checkpoints: a second or so, of the minute of a 3B's step
MOST_STEPS = 50  # that a kill may cost at most


def remove(checkpoints: Iterable[Path]) -> None:
    """Remove checkpoints, and what a killed run left of some."""
    for path in checkpoints:
        shutil.rmtree(path)


@runtime_checkable
class Large(Protocol):
    """A TrainablePolicy that knows the size of its checkpoints and can write one that nothing is trained on from."""

    @property
    def chosen(self) -> Mapping[str, Any]:
        """Settings of its training that were left open and that it chose by its size and the device's."""
        ...

    def checkpoint_bytes(self, weights_only: bool) -> int:
        """Bytes of what ``save`` writes, or ``save_weights``; 0: not known."""
        ...

    def save_weights(self, folder: Path) -> None:
        """``save`` without what only a further step needs, such as the optimizer's moments."""
        ...


def interval(size: int) -> int:
    """Steps between checkpoints of so many bytes: few enough that a kill costs little, enough that writing does."""
    return min(MOST_STEPS, max(1, -(-size // STEP_BYTES)))


def due(done: int, total: int, every: int) -> Iterator[bool]:
    """For each checkpoint after ``done`` steps whether it is the last one, which holds weights only."""
    for step in range(done + 1, total + 1):
        if step == total or step % every == 0:
            yield step == total


def room(sizes: Sequence[int], held: int = 0) -> int:
    """Bytes that must be free for checkpoints of these sizes, one after another; ``held``: those of the one before.

    There are two: before a further one is written, the older one goes.
    """
    used, most = 0, 0
    for size in sizes:
        most, used, held = max(most, used + size), used + size - held, size
    return most


def check_room(folder: Path, needed: int, what: str, fewer: bool = True) -> None:
    """``UserError`` where ``folder``, or the folder above that is there, has less than ``needed`` bytes free.

    ``fewer``: whether ``--save-every`` could help.
    """
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    free = shutil.disk_usage(there).free
    if free < needed:
        mend = (
            "--save-every N writes fewer (N above the number of steps: only the last, without moments), "
            if fewer
            else ""
        )
        raise UserError(
            f"'{folder}' needs {gigabytes(needed)} for {what}, and {gigabytes(free)} are free: {mend}"
            "--output writes to another disk."
        )


def held_bytes(folder: Path) -> int:
    """Bytes of the last checkpoint in a folder."""
    return sum(path.stat().st_size for last in saved(folder)[-1:] for path in last.rglob("*") if path.is_file())


def gigabytes(size: int) -> str:
    """A size in words; what is next to none of them in megabytes."""
    return f"{size / 1e9:.2f} GB" if size >= 1e8 else f"{size / 1e6:.2f} MB"
