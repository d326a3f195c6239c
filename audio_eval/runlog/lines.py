"""Files of records of one class, a line each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from audio_eval.errors import UserError
from audio_eval.store import JsonLines

M = TypeVar("M", bound=BaseModel)


class Lines(Generic[M]):
    """A file of records of one class, durable as ``JsonLines`` are."""

    def __init__(self, path: Path, model: type[M], summed: bool = False) -> None:
        self.path, self.file, self.model = path, JsonLines(path, summed), model

    def read(self) -> list[M]:
        """Every whole record; ``UserError`` names the line that is damaged."""
        return list(self)

    def __iter__(self) -> Iterator[M]:
        """The records of ``read``, each made when its turn comes: what only goes through them holds one at a time."""
        return self._typed(self.file)

    def append(self, records: Iterable[M]) -> None:
        """Add records and wait until they are on the disk."""
        self.file.append(map(dump, records))

    def mend(self) -> str | None:
        """Cut the file back to the records before the first that is damaged; what was wrong, or None."""
        return self.file.mend(self.model.model_validate)

    def keep(self, records: Iterable[M]) -> None:
        """Make the file hold exactly these records."""
        self.file.keep(map(dump, records))

    def resume(self, chunk: int, ids: Sequence[str]) -> list[M]:
        """The records of whole chunks of ``ids``; an unfinished chunk is taken out of the file."""
        return list(self._typed(self.file.resume(chunk, ids)))

    def _typed(self, records: Iterable[dict[str, Any]]) -> Iterator[M]:
        for number, record in enumerate(records, 1):
            try:
                found = self.model.model_validate(record)
            except ValidationError as error:
                raise UserError(f"'{self.path}' is damaged: record {number}: {reason(error)}.") from None
            yield found


def dump(record: BaseModel) -> dict[str, Any]:
    """A record as JSON has it, without what is at its default."""
    return record.model_dump(mode="json", exclude_defaults=True)


def reason(error: ValidationError) -> str:
    """What is wrong first, and where."""
    first = error.errors()[0]
    return f"{'.'.join(map(str, first['loc']))}: {' '.join(first['msg'].lower().split()):.300}"
