"""The dimensions of a model that decide how much memory it takes, found from its configuration: no weight is loaded."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig

from audio_eval.errors import NotHere, UserError
from audio_eval.models.hf.disk import Shapes
from audio_eval.models.hf.families import Family, family_of
from audio_eval.models.hf.families.unused import without
from audio_eval.models.hf.published import PUBLISHED
from audio_eval.models.policy import Training

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Tower:
    """An audio tower of ``layers`` transformer layers; a second of audio takes ``rate`` positions in it."""

    layers: int
    width: int
    inner: int
    heads: int
    rate: int = 50


@dataclass(frozen=True)
class Dimensions:
    """The shapes of all parameters that are loaded, which of them each kind of training changes, and the widths of the
    language model: ``inner`` is that of its feed-forward layers, ``queries`` that of its projection of queries.
    ``cached`` is how many numbers the keys and values of a token are, in all layers.
    """

    shapes: Mapping[str, Shape]
    language: frozenset[str]  # trained by tune=full
    tower_too: frozenset[str]  # trained by tune=full with train_tower
    linear: Mapping[str, Shape]  # (out, in) of the layers that get adapters
    table: str  # the embedding of tokens, which no multiplication reads
    vllm_names: Any
    layers: int
    hidden: int
    inner: int
    heads: int
    queries: int
    cached: int
    vocabulary: int
    tower: Tower

    @property
    def parameters(self) -> int:
        """How many parameters are loaded."""
        return count(self.shapes)

    def trained(self, training: Training) -> dict[str, Shape]:
        """The parameters that ``training`` changes, under the names they then have."""
        if training.tune == "full":
            names = self.tower_too if training.train_tower else self.language
            return {name: shape for name, shape in self.shapes.items() if name in names}
        rank = training.lora_r
        found: dict[str, Shape] = {}
        for name, (out, into) in self.linear.items():
            found |= {f"{name}.lora_A.default.weight": (rank, into), f"{name}.lora_B.default.weight": (out, rank)}
        return found

    @property
    def head_dim(self) -> int:
        """The width of a head."""
        return self.queries // self.heads


def count(shapes: Shapes) -> int:
    """The elements of all these tensors."""
    return sum(prod(shape) for shape in shapes.values())


def head_dim(text: Any) -> int:
    """The width of a head of attention, by a language model's configuration."""
    return int(getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads)


def cached(text: Any) -> int:
    """How many numbers the keys and values of a token are, in all layers of a language model of this configuration."""
    heads = getattr(text, "num_key_value_heads", None) or text.num_attention_heads
    return int(2 * text.num_hidden_layers * heads * head_dim(text))


def of_model(family: Family, model: Any) -> Dimensions:
    """The dimensions of a model that is loaded, or built on the meta device."""
    text = family.language_model(model).config
    shapes = {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}
    embeddings = model.get_input_embeddings().weight
    return Dimensions(
        shapes=shapes,
        language=frozenset(name for name in shapes if family.is_trained(name, False)),
        tower_too=frozenset(name for name in shapes if family.is_trained(name, True)),
        linear=dict(_linear(family, model)),
        table=next(name for name, parameter in model.named_parameters() if parameter is embeddings),
        vllm_names=family.vllm_name,
        layers=text.num_hidden_layers,
        hidden=text.hidden_size,
        inner=_inner(text),
        heads=text.num_attention_heads,
        queries=text.num_attention_heads * head_dim(text),
        cached=cached(text),
        vocabulary=family.head(model).weight.shape[0],
        tower=_tower(model),
    )


def of_source(source: str) -> Dimensions:
    """The dimensions of a checkpoint's folder, or of a hub repository whose configuration is known here.

    ``NotHere`` for any other.
    """
    folder = Path(source).expanduser()
    if (folder / "config.json").is_file():
        try:
            raw = AutoConfig.from_pretrained(folder, trust_remote_code=False)
        except Exception as error:  # of every class, for a damaged file
            raise UserError(
                f"'{folder / 'config.json'}' cannot be read: {' '.join(str(error).split()):.300}"
            ) from error
        return _planned(family_of(raw.model_type, f"'{source}'", folder), raw)
    if source in PUBLISHED:
        return _published(source)
    raise NotHere(f"the dimensions of {source} are not known")


@lru_cache
def _published(source: str) -> Dimensions:
    model_type, settings = PUBLISHED[source]
    return _planned(family_of(model_type, source), AutoConfig.for_model(model_type, **settings))


def _planned(family: Family, raw: Any) -> Dimensions:
    """Of a model on the meta device, where it takes no memory."""
    with torch.device("meta"):
        model = without(family.model_class(), family.unused)(family.config(raw))
        family.rearrange(model)
        return of_model(family, model)


def _linear(family: Family, model: Any) -> Iterator[tuple[str, Shape]]:
    """The linear layers that peft finds by the family's patterns."""
    for name, module in model.named_modules():
        excluded = family.lora_excludes and re.fullmatch(family.lora_excludes, name)
        if isinstance(module, torch.nn.Linear) and re.fullmatch(family.lora_targets, name) and not excluded:
            yield name, tuple(module.weight.shape)


def _inner(text: Any) -> int:
    """The width of the feed-forward layers; of a mixture of experts, that of all the experts of a token."""
    if experts := getattr(text, "num_experts_per_tok", None):
        return experts * (getattr(text, "moe_intermediate_size", None) or text.intermediate_size)
    inner = text.intermediate_size
    return max(inner) if isinstance(inner, (list, tuple)) else inner


def _tower(model: Any) -> Tower:
    """The audio tower's dimensions under the names that Whisper and those after it use; zeros where it has others."""
    config = getattr(model.config, "audio_config", None)
    names = (
        ("encoder_layers", "num_hidden_layers"), ("d_model", "hidden_size"),
        ("encoder_ffn_dim", "intermediate_size"), ("encoder_attention_heads", "num_attention_heads"),
    )  # fmt: skip
    return Tower(*(next((v for n in options if (v := getattr(config, n, None))), 0) for options in names))
