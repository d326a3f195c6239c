"""What lm-eval asks, in our terms: contexts, recordings and generation settings of its requests."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

from audio_eval.audio import AudioRef
from audio_eval.errors import UserError, unknown
from audio_eval.models.policy import Sampling

MAX_TOKENS = 256  # longest completion where a task does not say, as in lm-eval's models
_SETTINGS = {"until", "max_gen_toks", "do_sample", "temperature", "top_k", "top_p"}


class Chat(str):
    """A conversation as lm-eval passes it on, a text, which still has its ``messages``."""

    messages: list[dict[str, str]]

    def __new__(cls, text: str, messages: Sequence[Mapping[str, str]]) -> Chat:
        """``text`` is the conversation in whatever form lm-eval is to log."""
        chat = super().__new__(cls, text)
        chat.messages = [dict(message) for message in messages]
        return chat

    def __reduce__(self) -> tuple[Any, ...]:  # for lm-eval's cache of requests
        return Chat, (str(self), self.messages)


def user_turn(context: str) -> str:
    """What the user says in ``context``; ``UserError`` where that is not all of the conversation."""
    if not isinstance(context, Chat):
        return context
    if [message["role"] for message in context.messages] != ["user"]:
        raise UserError(
            "with --apply_chat_template an item with a recording, or one that is asked of a server, is one user turn: "
            "no system text, no examples, no beginning of the answer. Leave the flag out, and they stand in that turn."
        )
    return context.messages[0]["content"]


def recordings(given: Mapping[str, Any]) -> list[AudioRef]:
    """The recordings of a request's multimodal arguments. ``UserError`` for what we cannot take.

    ``doc_to_audio`` may give a path, with its sha256 or without; the bytes of a file, as datasets has them undecoded;
    or samples with their rate, as lm-eval's own audio task does.
    """
    if "visual" in given:
        raise UserError("this task shows images, which models here do not see.")
    return [audio for clip in given.get("audio") or [] if (audio := _recording(clip)) is not None]


def _recording(clip: Mapping[str, Any]) -> AudioRef | None:
    if clip.get("bytes"):
        return AudioRef(data=clip["bytes"])
    if clip.get("array") is not None:
        return AudioRef(data=_wav(clip["array"], clip["sampling_rate"]))
    return AudioRef(path=clip["path"], sha256=clip.get("sha256") or None) if clip.get("path") else None


def _wav(samples: Any, rate: int) -> bytes:
    """Samples as a WAV file that decodes to the same float32 numbers."""
    import soundfile

    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format="WAV", subtype="FLOAT")
    return buffer.getvalue()


def sampling(generation_kwargs: Mapping[str, Any], n: int, seed: int) -> Sampling:
    """How to draw ``n`` completions; greedily unless ``do_sample`` or a temperature asks for more, as in lm-eval."""
    from lm_eval.models.utils import normalize_gen_kwargs

    settings = normalize_gen_kwargs(dict(generation_kwargs), MAX_TOKENS)
    for key in settings:
        if key not in _SETTINGS:
            raise unknown("setting", key, _SETTINGS, " of generation_kwargs")
    return Sampling(
        n=n,
        temperature=float(settings.get("temperature") or 0.0),
        top_k=settings.get("top_k") or None,
        top_p=float(settings.get("top_p") or 1.0),
        max_tokens=settings["max_gen_toks"],
        stop=tuple(text for text in settings["until"] if text),
        seed=seed,
    )
