"""Case: a model family with a tiny checkpoint of its true class, and what transformers itself would be given."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import librosa
import numpy as np
import torch
import transformers
from packaging.version import Version
from safetensors.torch import load_file, save_file
from scipy.io import wavfile
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from audio_eval.audio import RATE, AudioRef
from audio_eval.models.hf.policy import HFPolicy
from audio_eval.models.hf.versions import oldest
from audio_eval.prompts import find
from audio_eval.questions import Question
from tests.models.checkpoints import WORDS, _save_shards

Inputs = dict[str, Any]
FIRST = 1.2  # seconds of the first recording where a question has two


@dataclass(frozen=True)
class Case:
    """One row of docs/models.md.

    ``build`` writes a tiny random checkpoint in the hub's layout. ``inputs`` is what the model's own forward is given
    for a question (a batch of one, with input_ids), made without any code of ours but the decoded waveforms
    (``waves``); ``reference`` says in words by what. Where a processor pads a recording to the
    longest one of the question, and the tower hears the padding, ``second_clip`` is as long as the first (``FIRST``).
    """

    name: str
    build: Callable[[Path], None]
    inputs: Callable[[HFPolicy, Path, Question], Inputs]
    reference: str
    hub: str  # ids on the hub, in words
    divisor: float = 1.0  # of the logits, where transformers' class leaves it out
    second_clip: float = 2.3  # seconds
    since: str = field(default_factory=oldest)  # the first version of transformers that has the classes

    def absent(self) -> str | None:
        """Why it cannot be checked with the transformers that is installed, if that is too old."""
        now = transformers.__version__
        return (
            f"{self.name} needs transformers {self.since}, this is {now}"
            if Version(now) < Version(self.since)
            else None
        )


def waves(question: Question) -> list[np.ndarray]:
    """The question's recordings as librosa reads them: mono at 16 kHz, float32."""
    return [librosa.load(io.BytesIO(audio.read()), sr=RATE, mono=True)[0] for audio in question.audios]


def stereo(seconds: float, seed: int = 0) -> AudioRef:
    """A stereo recording at 44.1 kHz whose channels differ."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(seconds * 44_100)) / 44_100
    tone = np.stack([np.sin(2 * np.pi * (200 + 40 * t) * t), np.sin(2 * np.pi * 330 * t)], axis=1)
    samples = (0.4 * tone + 0.05 * rng.standard_normal(tone.shape)).astype(np.float32)
    buffer = io.BytesIO()
    wavfile.write(buffer, 44_100, samples)
    return AudioRef(data=buffer.getvalue())


def make_tokenizer(special: Sequence[str | AddedToken], **named: str) -> PreTrainedTokenizerFast:
    """Byte-level BPE that knows the standard prompt's words, with the ``special`` tokens first in its vocabulary.

    ``named``: eos_token, pad_token, bos_token and the like, which are of ``special``.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=600, special_tokens=list(special), initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )  # fmt: skip
    ask = find("r1_aqa").render(f"Which {' '.join(WORDS)} is heard?", ["a dog", "a bell"])
    tokenizer.train_from_iterator([ask, "<answer>a dog</answer>", "user assistant system", ask], trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **named)


def save_as_hub(folder: Path, config: Any, model: Any) -> None:
    """The configuration, and the weights in two shards under the names that the hub has."""
    config.save_pretrained(folder)
    named = hub_weights(model)
    names = sorted(named)
    half = len(names) // 2
    _save_shards(folder, [{name: named[name] for name in part} for part in (names[:half], names[half:])])


def wake(model: torch.nn.Module, head: torch.nn.Parameter, ends: Sequence[int]) -> None:
    """Larger weights than the initial ones, so that answers differ between questions and some of them end."""
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() > 1 and "position" not in name:
                fan_in = parameter.shape[-1] if "experts" in name else parameter[0].numel()
                std = 0.3 if "embed_tokens" in name or "lm_head" in name else fan_in**-0.5
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * std)
            elif name.endswith("bias"):
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.1)
        for end in ends:
            head[end] *= 2


def hub_weights(model: Any) -> dict[str, torch.Tensor]:
    """The model's tensors under the names the hub has: ``save_pretrained`` maps them back."""
    with tempfile.TemporaryDirectory() as scratch:
        model.save_pretrained(scratch)
        return load_file(Path(scratch) / "model.safetensors")


def save_weights(folder: Path, weights: dict[str, torch.Tensor]) -> None:
    """``model.safetensors``, of all these tensors."""
    save_file(
        {name: tensor.contiguous() for name, tensor in weights.items()}, folder / "model.safetensors", {"format": "pt"}
    )
