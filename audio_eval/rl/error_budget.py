"""How many items of a run may fail before it stops: what fails counts as wrong, and many that fail make no result."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from audio_eval.audio import AudioError
from audio_eval.errors import TooManyErrors
from audio_eval.group import Group

SHOWN = 3  # items that a message names


@dataclass(frozen=True)
class ErrorBudget:
    """``allowed`` of the run's ``items`` questions may fail; None: any number.

    ``readable`` are ids of those whose recordings could be read when the run, or its resumption, began. One of these
    that cannot be read any more, or is another by now, is no bad item: the folder, or the disk, is gone.
    """

    items: int
    allowed: int | None = None
    readable: Collection[str] = frozenset()

    def check(self, failed: Mapping[str, str], groups: Sequence[Group] = ()) -> None:
        """``TooManyErrors`` where too many questions have ``failed`` (reasons by id), and where a recording of these
        ``groups`` is gone.
        """
        for group in groups:
            if group.error is not None and group.question.id in self.readable:
                for recording in group.question.audios:
                    try:
                        recording.verified()
                    except AudioError as error:
                        raise TooManyErrors(
                            f"item '{group.question.id}' could be read when this began, and cannot be now: {error} "
                            "What failed since then is not counted."
                        ) from None
        if self.allowed is not None and len(failed) > self.allowed:
            shown = "; ".join(f"{id_}: {' '.join(why.split())}" for id_, why in [*failed.items()][:SHOWN])
            raise TooManyErrors(
                f"{len(failed)} of {self.items} items failed, and {self.allowed} may (--max-errors): {shown}"
                f"{' ...' if len(failed) > SHOWN else ''}. Mend them, or allow more, as with --max-errors 5%."
            )
