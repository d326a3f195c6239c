"""Gemma's peculiarities; what every family is held to stands in tests/models/families."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from transformers import (
    Gemma3nAudioFeatureExtractor,
    Gemma4AudioFeatureExtractor,
    Gemma4UnifiedAudioFeatureExtractor,
)

from audio_eval.errors import UserError
from audio_eval.models.backends import load_policy
from audio_eval.models.hf.families.gemma import Gemma
from audio_eval.models.hf.families.gemma3n import Gemma3n
from audio_eval.models.hf.families.gemma4 import Gemma4, Gemma4Unified
from audio_eval.models.hf.files import revision_of
from audio_eval.models.hf.policy import HFPolicy
from tests.models.checkpoints import as_wav, wave
from tests.models.families import gemma3n, gemma4

SOUND = wave(0.5, seed=4)


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> HFPolicy:
    """Gemma 3n."""
    folder = tmp_path_factory.mktemp("gemma") / "3n"
    gemma3n.build(folder)
    loaded = load_policy(str(folder))
    assert isinstance(loaded, HFPolicy)
    return loaded


def test_ids_past_the_texts_vocabulary_have_their_own_embeddings(policy: HFPolicy) -> None:
    """Of the audio and the vision vocabulary: what the model's own forward embeds."""
    ids, seen = torch.arange(len(policy.tokenizer))[None], []
    hook = policy.checkpoint.language_model.register_forward_pre_hook(
        lambda module, args, kwargs: seen.append(kwargs["inputs_embeds"]), with_kwargs=True
    )
    with torch.no_grad():
        policy.model(input_ids=ids)
        hook.remove()
        assert torch.equal(policy.checkpoint.embed(ids), seen[0])
        assert not torch.equal(policy.model.get_input_embeddings()(ids), seen[0])


def test_logits_are_capped(policy: HFPolicy) -> None:
    head = policy.checkpoint.head
    hidden = torch.randn(3, head.weight.shape[1]) * 20
    assert float(head(hidden).abs().max()) <= 8.0 < float(head.linear(hidden).abs().max())


def test_a_gemma_4_that_does_not_hear(tmp_path: Path) -> None:
    folder = tmp_path / "31B"
    gemma4.build_conformer(folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"audio_config": None}))
    with pytest.raises(UserError, match="does not hear"):
        load_policy(str(folder))


def test_the_processors_file_decides_the_revision(tmp_path: Path) -> None:
    """Gemma 4 and GLM-ASR have their extractor's settings there."""
    (tmp_path / "processor_config.json").write_text('{"feature_extractor": {"feature_size": 128}}')
    before = revision_of(tmp_path)
    (tmp_path / "processor_config.json").write_text('{"feature_extractor": {"feature_size": 64}}')
    assert revision_of(tmp_path) != before


@pytest.mark.parametrize(
    ("family", "extractor"),
    [
        (Gemma3n(), Gemma3nAudioFeatureExtractor()),
        (Gemma4(), Gemma4AudioFeatureExtractor()),
        (Gemma4Unified(), Gemma4UnifiedAudioFeatureExtractor()),
    ],
    ids=lambda part: type(part).__name__,
)
def test_the_number_of_frames_is_known_without_decoding(family: Gemma, extractor: Any) -> None:
    @settings(max_examples=15, deadline=None, derandomize=True)
    @given(st.integers(1, len(SOUND)))
    @example(1)
    @example(1664)
    @example(1665)
    def same(samples: int) -> None:
        audio = as_wav(SOUND[:samples])
        heard = family.features(extractor, audio)
        assert family.frames(extractor, audio) == heard.frames == len(heard.mel) > 0

    same()
