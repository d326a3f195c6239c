"""What the tiny checkpoints of Gemma 3n and Gemma 4 have in common, and what their own processors make."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock, patch

import torch
import transformers
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import AutoFeatureExtractor, AutoTokenizer, GemmaTokenizer

from audio_eval.prompts import find
from audio_eval.questions import Question
from tests.models.checkpoints import WORDS
from tests.models.families.case import Inputs, hub_weights, save_weights, wake, waves

HIDDEN = 32
REFERENCE = "processor without its image part, which needs torchvision, and forward"
TEXTS = 2 * [
    find("r1_aqa").render(f"Which {' '.join(WORDS)} is heard?", ["a dog", "a bell"]),
    "user\nmodel\nsystem\n\n\n<answer>a dog</answer>",
]


def make_tokenizer(turns: Sequence[str], named: Mapping[str, str], last: Sequence[str] = ()) -> GemmaTokenizer:
    """Gemma's: BPE with byte fallback in which a space is "▁". Tokens: its own, ``turns``, bytes, words, ``last``."""
    learned = Tokenizer(models.BPE())
    learned.normalizer = normalizers.Replace(" ", "▁")
    learned.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    learned.train_from_iterator(TEXTS, trainers.BpeTrainer(vocab_size=400, show_progress=False))
    model = json.loads(learned.to_str())["model"]
    names = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", *turns, *(f"<0x{byte:02X}>" for byte in range(256))]
    names += [*sorted(model["vocab"], key=model["vocab"].get), *last]
    vocab = {name: i for i, name in enumerate(names)}
    tokenizer = GemmaTokenizer(
        vocab=vocab, merges=[tuple(pair) for pair in model["merges"]], extra_special_tokens=dict(named)
    )
    tokenizer.add_tokens([AddedToken(name, special=True, normalized=False) for name in (*turns, *last)])
    return tokenizer


def wake_all(model: Any, eos: int) -> None:
    """Larger weights than the initial ones, none of them zero, so that every part matters to the answers."""
    wake(model, model.lm_head.weight, [eos])
    generator = torch.Generator().manual_seed(9)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 1:
                parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.2)


def save(
    folder: Path,
    model: Any,
    tokenizer: Any,
    template: str,
    processor: Mapping[str, Any],
    ends: Sequence[str],
    unread: Mapping[str, torch.Tensor] | None = None,
) -> None:
    """One file of weights, ``unread`` among them, beside the processor's and the generation's configuration."""
    save_weights(folder, hub_weights(model) | dict(unread or {}))
    model.config.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / "chat_template.jinja").write_text(template)
    for name, settings in processor.items():
        (folder / f"{name}_config.json").write_text(json.dumps(settings, indent=2))
    generation = {"eos_token_id": tokenizer.convert_tokens_to_ids(list(ends)), "do_sample": True, "top_k": 64}
    (folder / "generation_config.json").write_text(json.dumps(generation))


def settings_of(part: Any) -> dict[str, Any]:
    """What the file of a part of a processor holds."""
    return json.loads(part.to_json_string())


def _class(name: str) -> Any:
    """transformers' processor class. Until 5.22 its module imports torchvision, for images alone."""
    with patch.dict("sys.modules", {"torchvision.transforms.v2": MagicMock()}):
        return getattr(transformers, name)


@lru_cache
def _processor(name: str, folder: Path) -> Any:
    """A checkpoint's processor with None for those of images and videos, which need torchvision."""
    processor_class = _class(name)

    class AudioOnly(processor_class):
        def check_argument_for_proper_class(self, argument_name: str, argument: Any) -> Any:
            return None if argument is None else super().check_argument_for_proper_class(argument_name, argument)

    parts = {
        "feature_extractor": AutoFeatureExtractor.from_pretrained(folder),
        "tokenizer": AutoTokenizer.from_pretrained(folder),
        "chat_template": (folder / "chat_template.jinja").read_text(),
    }
    return AudioOnly(**dict.fromkeys(processor_class.get_attributes()) | parts)


def processed(processor: str, folder: Path, asked: Question) -> Inputs:
    """What the checkpoint's processor makes of a question."""
    parts: list[dict[str, Any]] = [{"type": "audio", "audio": wave} for wave in waves(asked)]
    turn = {"role": "user", "content": [*parts, {"type": "text", "text": asked.prompt}]}
    return dict(
        _processor(processor, folder).apply_chat_template(
            [turn], tokenize=True, return_dict=True, return_tensors="pt", add_generation_prompt=True
        )
    )
