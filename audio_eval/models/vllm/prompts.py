"""From a Question to what vLLM is given: the hf backend's token ids, and the recordings as samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from audio_eval.audio import AudioError
from audio_eval.errors import UserError
from audio_eval.models.backends import LongAudio
from audio_eval.models.hf.checkpoint import Checkpoint
from audio_eval.models.hf.features import Heard
from audio_eval.models.hf.inputs import tokenized
from audio_eval.questions import Question


@dataclass
class Asked:
    """A question as ids, in which one placeholder stands for each of ``clips``; ``digests`` names the clips."""

    question: Question
    ids: list[int]
    clips: list[Heard]
    digests: list[str]


def ask(checkpoint: Checkpoint, question: Question, long_audio: LongAudio) -> Asked | str:
    """The question, or the reason why it cannot be asked."""
    made, family = tokenized(checkpoint, question, long_audio), checkpoint.family
    if made.refused is not None:
        return made.refused
    try:
        if long_audio == "skip":
            for clip in made.clips:
                family.check_whole(checkpoint.extractor, clip)
        heard = [family.hear(checkpoint.extractor, clip) for clip in made.clips]
        return Asked(question, made.ids, heard, [clip.digest() for clip in made.clips])
    except AudioError as error:
        return str(error)


def request(checkpoint: Checkpoint, asked: Asked, completion: Sequence[int] = ()) -> dict[str, Any]:
    """The prompt, with the tokens of a ``completion`` behind it. vLLM makes the features, by the model's processor.

    A clip's digest is its key in vLLM's caches.
    """
    made: dict[str, Any] = {"prompt_token_ids": [*asked.ids, *completion]}
    if asked.clips:
        rate = checkpoint.family.sampling_rate(checkpoint.extractor)
        made["multi_modal_data"] = {"audio": [(heard.clip, rate) for heard in asked.clips]}
        made["multi_modal_uuids"] = {"audio": asked.digests}
    return made


def check_prompt(checkpoint: Checkpoint, given: Sequence[int], used: Sequence[int]) -> None:
    """``UserError`` unless vLLM ``used`` the prompt that it was ``given``, with placeholders repeated and no more."""
    if _once(used, checkpoint.placeholder) != _once(given, checkpoint.placeholder):
        raise UserError(
            f"vLLM makes another prompt of a question than {checkpoint.family.name} is given here: --backend hf has it."
        )


def _once(ids: Sequence[int], placeholder: int) -> list[int]:
    """The ids, each run of placeholders as one."""
    return [one for before, one in pairwise([-1, *ids]) if not before == one == placeholder]
