"""The generic adapter: what it can treat, and one line for what it cannot."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import transformers
from transformers import AudioFlamingo3ForConditionalGeneration
from transformers.models.auto import modeling_auto

from audio_eval.errors import UserError
from audio_eval.models.backends import load_policy
from audio_eval.models.hf import checkpoint
from audio_eval.models.hf.families import family_of
from audio_eval.models.hf.families.generic import Generic
from audio_eval.models.policy import Sampling
from tests.models.checkpoints import question
from tests.models.families.checks import Built
from tests.models.families.flamingo import AUDIO_FLAMINGO, build_audio_flamingo
from tests.models.families.moss import GENERIC, build

of_moss = pytest.mark.skipif(bool(GENERIC.absent()), reason=GENERIC.absent() or "")
ASKED = [question(1, 0.4), question(2, 1.3), question(3), question(4, 31.0)]


class Flamingo(Generic):
    """Audio Flamingo 3 has a processor, but no place among those that the Auto class loads."""

    def model_class(self) -> Any:
        return AudioFlamingo3ForConditionalGeneration


def test_on_a_family_of_our_own_it_says_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers, samples, lengths, clips of several windows: as the family's own file has them."""
    build_audio_flamingo(tmp_path / "flamingo")
    built = Built(AUDIO_FLAMINGO, tmp_path / "flamingo")
    own = built.fresh()
    monkeypatch.setattr(checkpoint, "family_of", lambda model_type, where, folder: Flamingo(model_type, folder, where))
    generic = built.fresh()
    family = generic.checkpoint.family
    assert isinstance(family, Flamingo) and (family.max_seconds, family.max_clips) == (600, 1)
    for sampling in (Sampling(max_tokens=6), Sampling(n=6, temperature=0.7, max_tokens=4)):
        assert generic.generate(ASKED, sampling) == own.generate(ASKED, sampling)
    assert [generic.prompt_length(q) for q in ASKED] == [own.prompt_length(q) for q in ASKED]


@of_moss
def test_a_processor_that_writes_between_a_clips_tokens_is_refused(tmp_path: Path) -> None:
    build(tmp_path / "markers", marker_seconds=2)
    with pytest.raises(
        UserError, match=r"'moss_transcribe_diarize', .* writes other tokens between those of a clip"
    ) as it:
        load_policy(str(tmp_path / "markers"))
    assert "\n" not in str(it.value)


@of_moss
def test_a_model_that_does_more_than_decoder_and_head_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(tmp_path / "more")
    monkeypatch.setattr(Generic, "embeddings", lambda self, model: lambda ids: 1.1 * model.get_input_embeddings()(ids))
    with pytest.raises(UserError, match="does not follow from embeddings, decoder and head alone"):
        load_policy(str(tmp_path / "more"))


@of_moss
def test_a_model_that_fails_in_its_own_way_is_refused_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(tmp_path / "odd")

    def fail(*_: object, **__: object) -> None:
        raise IndexError("of\nits own")

    monkeypatch.setattr(transformers.MossTranscribeDiarizeForConditionalGeneration, "forward", fail)
    with pytest.raises(UserError, match=r"it cannot be treated like others \(IndexError: of its own\)\."):
        load_policy(str(tmp_path / "odd"))


def test_a_model_that_hears_nothing_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "seeing"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"model_type": "llava"}))
    (folder / "model.safetensors").write_bytes(b"")
    seeing = type("Processor", (), {"__call__": lambda self, text, images: None})
    monkeypatch.setattr("transformers.AutoProcessor.from_pretrained", lambda folder, **_: seeing())
    with pytest.raises(UserError, match=r"'llava', which has no family of its own, and its Processor takes no audio\."):
        load_policy(str(folder))

    def broken(folder: Path, **_: object) -> None:
        raise ImportError("LlavaProcessor requires\nthe Torchvision library")

    monkeypatch.setattr("transformers.AutoProcessor.from_pretrained", broken)
    with pytest.raises(UserError, match=r"its processor cannot be made \(LlavaProcessor requires the Torchvision"):
        load_policy(str(folder))


def test_types_that_transformers_does_not_know(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="type 'whisper', which is not supported") as it:
        family_of("whisper", "'x'", tmp_path)
    assert "transformers" not in str(it.value), "a newer one would not help"
    with pytest.raises(
        UserError, match=rf"'new_type', .* {transformers.__version__} does not know it; a newer one may"
    ):
        family_of("new_type", "'x'", tmp_path)
    monkeypatch.delattr(modeling_auto, "MODEL_FOR_MULTIMODAL_LM_MAPPING_NAMES")  # an older version
    with pytest.raises(UserError, match="type 'llava', which is not supported"):
        family_of("llava", "'x'", tmp_path)
    monkeypatch.setattr("audio_eval.models.hf.families.CONFIG_MAPPING", {})  # one that lacks a family's own type
    with pytest.raises(UserError, match=r"'voxtral', which transformers [\d.]+ does not know: python -m pip install"):
        family_of("voxtral", "'x'", tmp_path)
