"""Voxtral's prompt and features are those of mistral-common and VoxtralProcessor, without mistral-common."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.io import wavfile
from transformers import VoxtralProcessor
from transformers.utils.import_utils import is_mistral_common_available

from audio_eval.audio import RATE, AudioRef
from audio_eval.models.hf.files import digests
from tests.models.checkpoints import clip, question, wave
from tests.models.families.checks import Built
from tests.models.families.voxtral import SPECIAL, SPECIAL_TOKENS, VOXTRAL, inputs


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    folder = tmp_path_factory.mktemp("voxtral") / "checkpoint"
    VOXTRAL.build(folder)
    return Built(VOXTRAL, folder)


def test_the_prompt(built: Built) -> None:
    """<s>[INST][BEGIN_AUDIO][AUDIO].. the question's text [/INST]; special tokens that the text spells stay text."""
    tokenizer, text = built.policy.tokenizer, "Is [INST] a dog?\n\n</s> [AUDIO] <s>"
    ids = built.policy.encoder.ask(replace(question(1, 0.5, text), more_audio=(clip(0.5, 2),))).ids
    head = ["<s>", "[INST]", "[BEGIN_AUDIO]", "[AUDIO]", "[BEGIN_AUDIO]", "[AUDIO]"]
    assert ids[:6] == [SPECIAL.index(token) for token in head]
    assert ids[-1] == SPECIAL.index("[/INST]")
    assert min(ids[6:-1]) >= SPECIAL_TOKENS, "no special token in the text"
    assert tokenizer.decode(ids[6:-1]) == "Is [ INST] a dog?\n\n< /s> [ AUDIO] < s>"


def test_the_weights_in_mistrals_own_layout_are_not_counted(built: Built) -> None:
    names = digests(built.folder)
    assert "tekken.json" in names and (built.folder / "consolidated.safetensors").is_file()
    assert not [name for name in names if "consolidated" in name]


@pytest.mark.skipif(
    not is_mistral_common_available(),
    reason="mistral-common >= 1.11.5 is not installed: it takes no numpy 2.4 on Python 3.11",
)
def test_the_processor_makes_the_same(built: Built, tmp_path: Path) -> None:
    """Token by token and frame by frame, for one recording and for two of several chunks."""
    processor = VoxtralProcessor.from_pretrained(built.folder)
    for lengths in ((1.0,), (30.1, 3.0)):
        audios, parts = [], []
        for i, seconds in enumerate(lengths):
            path = tmp_path / f"{i}.wav"
            # 16 bits, to which transformers' loader rounds
            wavfile.write(path, RATE, np.round(wave(seconds, i) * 30_000).astype(np.int16))
            audios.append(AudioRef(path=str(path)))
            parts.append({"type": "audio", "path": str(path)})
        asked = question(1).hearing(audios)
        turn = [{"role": "user", "content": [*parts, {"type": "text", "text": asked.prompt}]}]
        theirs, ours = processor.apply_chat_template(turn), inputs(built.policy, built.folder, asked)
        assert torch.equal(theirs["input_ids"], ours["input_ids"])
        assert torch.equal(theirs["input_features"], ours["input_features"])
