"""The mellow policy: each question is one request to the package, which decodes greedily."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from audio_eval.audio import AudioError, AudioRef
from audio_eval.errors import UserError
from audio_eval.group import Completion, Group
from audio_eval.models.backends import Limits
from audio_eval.models.policy import PolicyInfo, Sampling
from audio_eval.questions import Question, too_long

if TYPE_CHECKING:
    from typing import Any

RATE, WINDOW = 32_000, 10  # Hz, seconds


class Asked(Protocol):
    """What answers: see ``MellowProcess``."""

    def ask(self, clips: list[str], prompt: str, max_tokens: int) -> dict[str, Any]:
        """One answer."""
        ...


class MellowPolicy:
    """A Policy.

    The package draws nothing: behind its top-p filter stands an argmax, whatever the temperature. So several greedy
    samples are one answer counted n times, and a temperature is refused. It would crop a long recording at a
    random place: it is given the first 10 s instead. A shorter one it repeats until it has 10 s.
    """

    def __init__(self, name: str, revision: str, device: str, process: Asked, limits: Limits) -> None:
        self.info = PolicyInfo(name, revision, "mellow", device, trainable=False)
        self._process, self._limits = process, limits

    def generate(self, questions: Sequence[Question], sampling: Sampling) -> list[Group]:
        """One Group per question, in order. ``UserError`` for a temperature above 0."""
        if sampling.temperature > 0:
            raise UserError(
                f"'{self.info.name}' cannot be sampled from: its package takes the most probable token at any "
                "temperature. Use a method that decodes greedily, such as direct."
            )
        return [self._answer(question, sampling) for question in questions]

    def _answer(self, question: Question, sampling: Sampling) -> Group:
        if reason := too_long(question):
            return Group(question, (), (), error=reason)
        if len(question.audios) not in (1, 2):
            reason = f"Mellow hears one recording or two; the question has {len(question.audios)}."
            return Group(question, (), (), error=reason)
        with tempfile.TemporaryDirectory() as folder:
            try:
                written = [self._write(audio, Path(folder) / f"{k}.wav") for k, audio in enumerate(question.audios)]
            except AudioError as error:
                return Group(question, (), (), error=str(error))
            paths, seconds = zip(*written, strict=True)
            # the model takes two recordings; that of a question with one is given twice
            clips = [paths[0], paths[-1]]
            found = self._process.ask(clips, question.prompt, sampling.max_tokens or self._limits.max_tokens)
        if "error" in found:
            return Group(question, (), (), error=found["error"])
        text, finished = found["text"], found["finished"]
        if ends := [text.index(stop) for stop in sampling.stop if stop in text]:
            text, finished = text[: min(ends)], True
        return Group(
            question, (Completion(text.strip(), None, finished),), (sampling.n,), truncated=max(seconds) > WINDOW,
            audio_seconds=sum(min(each, WINDOW) for each in seconds),
        )  # fmt: skip

    def _write(self, audio: AudioRef, path: Path) -> tuple[str, float]:
        """The recording's first ``WINDOW`` seconds as a mono WAV at ``RATE``, and the seconds of the whole."""
        import soundfile

        wave = audio.load(RATE)
        seconds = len(wave) / RATE
        if seconds > WINDOW and self._limits.long_audio == "skip":
            raise AudioError(f"{audio.name}: {seconds:.1f} s, and the model hears {WINDOW} s; --long-audio cut asks it "
                             "about the beginning.")  # fmt: skip
        soundfile.write(path, wave[: WINDOW * RATE], RATE, subtype="FLOAT")
        return str(path), seconds
