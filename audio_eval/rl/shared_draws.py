"""What the unadapted policy draws for several runs of one command: the same draws are made once.

Votes with equal settings are the same samples for every method, as random streams are keyed by (seed, question id,
purpose). So majority_vote, sft and aqa_ttrl need one vote. Every run still keeps the draws in its own files, counts
them as its samples, and is charged the seconds that they took.
"""

from __future__ import annotations

import hashlib
import io
import json
import tempfile
import time
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, cast

from audio_eval.group import Group
from audio_eval.models.policy import Policy, Sampling
from audio_eval.questions import Question


class Drawn(NamedTuple):
    """The groups of a batch; the seconds that they took in an earlier run, 0 where they were drawn just now."""

    groups: list[Group]
    earlier_seconds: float


class _Kept(NamedTuple):
    """Where the draws of a batch are in the file, and the seconds that they took."""

    start: int
    size: int
    seconds: float


class SharedDraws:
    """The draws of ``policy`` for one task, in a file without a name in ``folder``, which is gone with the process.

    Equal draws have the same questions in a batch, in the same order (padding depends on it), and the same sampling,
    seed included. Only draws of several samples are kept: single answers are seldom asked for twice.
    """

    def __init__(self, policy: Policy, task: str, folder: Path) -> None:
        self.policy, self.task, self._folder = policy, task, folder
        self._known: dict[bytes, _Kept] = {}  # by ``_key``
        self._file: io.FileIO | None = None
        self._end = 0  # of what was written whole

    def generate(self, questions: Sequence[Question], sampling: Sampling) -> Drawn:
        """The policy's groups, drawn now or before."""
        if sampling.n == 1:
            return Drawn(self.policy.generate(questions, sampling), 0.0)
        key = _key(questions, sampling)
        if key in self._known:
            return self._read(self._known[key], questions)
        began = time.monotonic()
        groups = self.policy.generate(questions, sampling)
        seconds = time.monotonic() - began
        try:
            start, size = self._end, self._write(groups)
        except OSError:  # such as a full disk: what is not kept is drawn again
            return Drawn(groups, 0.0)
        self._known[key] = _Kept(start, size, seconds)
        return Drawn(groups, 0.0)

    def _write(self, groups: Sequence[Group]) -> int:
        """Add groups at the end; returns their bytes."""
        if self._file is None:
            self._file = cast(io.FileIO, tempfile.TemporaryFile(dir=self._folder, buffering=0))  # noqa: SIM115
            weakref.finalize(self, self._file.close)
        data = json.dumps([group.to_json() for group in groups]).encode()
        self._file.seek(self._end)
        if self._file.write(data) < len(data):
            raise OSError("a part was written")
        self._end += len(data)
        return len(data)

    def _read(self, kept: _Kept, questions: Sequence[Question]) -> Drawn:
        assert self._file is not None
        self._file.seek(kept.start)
        records = json.loads(self._file.read(kept.size))
        return Drawn([Group.from_json(*pair) for pair in zip(records, questions, strict=True)], kept.seconds)


def _key(questions: Sequence[Question], sampling: Sampling) -> bytes:
    """A digest of what makes draws equal. Recordings that are no files count by their bytes."""
    sounds = [audio.digest() for question in questions for audio in question.audios if audio.data is not None]
    return hashlib.sha256(repr((tuple(questions), sampling, sounds)).encode()).digest()
