"""From a Question to the messages of a chat request: each recording as ``input_audio``, then the prompt."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from audio_eval.audio import RATE, AudioRef
from audio_eval.questions import Question

Message = dict[str, Any]


def user_turn(question: Question, wav_only: bool = False) -> tuple[list[Message], float]:
    """The messages, and the seconds of sound in them.

    Raises ``AudioError`` for a recording that cannot be used, as the hf backend does.
    """
    found = [encoded(recording, wav_only) for recording in question.audios]
    return turn(question, [(data, form) for data, form, _ in found]), sum(seconds for *_, seconds in found)


def turn(question: Question, files: Sequence[tuple[bytes, str]]) -> list[Message]:
    """The messages of a question whose recordings are these files, each with its format."""
    # special tokens written out in a question must stay text
    text = {"type": "text", "text": question.prompt.replace("<|", "< |")}
    if not files:
        return [{"role": "user", "content": text["text"]}]
    parts: list[Message] = [
        {"type": "input_audio", "input_audio": {"data": base64.b64encode(data).decode(), "format": form}}
        for data, form in files
    ]
    return [{"role": "user", "content": [*parts, text]}]


def encoded(audio: AudioRef, wav_only: bool = False) -> tuple[bytes, str, float]:
    """The recording as a server takes it: the bytes of the file, "wav" or "mp3", and its seconds.

    MP3 and 16-bit WAV files go as they are, others as 16-bit WAV, in mono at their own rate; with an edit at 16 kHz,
    which is where the hf backend edits. All are decoded once: a recording is whole or refused.
    """
    sound = audio.decode()
    seconds = len(sound.samples) / sound.rate
    if audio.edit is not None:
        return as_wav(audio.load(RATE), RATE), "wav", seconds
    if (sound.format, sound.subtype) == ("WAV", "PCM_16"):
        return audio.verified(), "wav", seconds
    if (sound.format, sound.subtype) == ("MP3", "MPEG_LAYER_III") and not wav_only:
        return audio.verified(), "mp3", seconds
    return as_wav(sound.samples, sound.rate), "wav", seconds


def as_wav(samples: np.ndarray, rate: int) -> bytes:
    """Mono samples (n,) as a 16-bit WAV file. What is louder than full scale is made quieter as a whole."""
    import soundfile

    peak = float(np.abs(samples).max(initial=0.0))
    buffer = io.BytesIO()
    soundfile.write(buffer, samples / max(peak, 1.0), rate, format="WAV", subtype="PCM_16")
    return buffer.getvalue()
