"""Audio Flamingo 3 and Music Flamingo."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AudioFlamingo3Config,
    AudioFlamingo3ForConditionalGeneration,
    AudioFlamingo3Processor,
    GenerationConfig,
    MusicFlamingoConfig,
    MusicFlamingoForConditionalGeneration,
    MusicFlamingoProcessor,
    WhisperFeatureExtractor,
)

from audio_eval.models.hf.policy import HFPolicy
from audio_eval.questions import Question
from tests.models.families.case import Case, Inputs, make_tokenizer, wake, waves

SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<sound>", "<|sound_bos|>", "<|sound_eos|>")
# as the checkpoints have it: one placeholder for a turn with audio, before all of its text
TEMPLATE = (
    "{% if messages[0]['role'] != 'system' %}<|im_start|>system\n{SYSTEM}<|im_end|>\n{% endif %}"
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{% if m['content'] is string %}{{ m['content'] }}{% else %}"
    "{% set turn = namespace(heard=False, text='') %}{% for part in m['content'] %}"
    "{% if part.get('type') == 'audio' %}{% set turn.heard = True %}"
    "{% elif part.get('type') == 'text' %}{% set turn.text = turn.text + part['text'] %}{% endif %}{% endfor %}"
    "{% if turn.heard %}{{ '<sound>' }}{% endif %}{{ turn.text }}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def build(
    folder: Path, config_class: Any, model_class: Any, processor_class: Any, system: str,
    text: Mapping[str, Any] | None = None, **more: Any,
) -> None:  # fmt: skip
    """The layout of the checkpoint; the tower has its true window of 30 s. ``text`` changes the language model."""
    tokenizer = make_tokenizer(SPECIAL, eos_token="<|im_end|>", pad_token="<|endoftext|>")
    tokenizer.add_special_tokens({"additional_special_tokens": list(SPECIAL[3:])})
    config = config_class(
        text_config=dict(
            model_type="qwen2", vocab_size=len(tokenizer), hidden_size=48, intermediate_size=64, num_hidden_layers=2,
            num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=32768, tie_word_embeddings=False,
            rope_parameters={"rope_type": "default", "rope_theta": 1e6},
        )
        | dict(text or {}),
        audio_config=dict(
            model_type="audioflamingo3_encoder", num_mel_bins=128, hidden_size=40, num_hidden_layers=2,
            num_attention_heads=2, intermediate_size=48, max_source_positions=1500,
        ),
        audio_token_id=tokenizer.convert_tokens_to_ids("<sound>"), **more,
    )  # fmt: skip
    torch.manual_seed(3)
    model = model_class(config).eval()
    ends = [tokenizer.eos_token_id, tokenizer.pad_token_id]
    wake(model, model.lm_head.weight, ends)
    model.generation_config = GenerationConfig(eos_token_id=ends, pad_token_id=tokenizer.pad_token_id)
    model.save_pretrained(folder)
    processor_class(
        feature_extractor=WhisperFeatureExtractor(feature_size=128, return_attention_mask=True),
        tokenizer=tokenizer,
        chat_template=TEMPLATE.replace("{SYSTEM}", system),
    ).save_pretrained(folder)


def build_audio_flamingo(folder: Path, **text: Any) -> None:
    system = "You are a helpful assistant."
    build(folder, AudioFlamingo3Config, AudioFlamingo3ForConditionalGeneration, AudioFlamingo3Processor, system, text)


def build_music_flamingo(folder: Path) -> None:
    rope = {"rope_type": "default", "rope_theta": 1200, "partial_rotary_factor": 0.2}
    build(
        folder, MusicFlamingoConfig, MusicFlamingoForConditionalGeneration, MusicFlamingoProcessor,
        "You are Music Flamingo, a multimodal assistant for language and music.", rope_parameters=rope,
        audio_bos_token_id=SPECIAL.index("<|sound_bos|>"), audio_eos_token_id=SPECIAL.index("<|sound_eos|>"),
    )  # fmt: skip


def inputs_by(processor_class: Any) -> Any:
    """By the checkpoint's own processor."""

    def inputs(policy: HFPolicy, folder: Path, asked: Question) -> Inputs:
        processor = processor_class.from_pretrained(folder)
        turn = [*({"type": "audio"} for _ in asked.audios), {"type": "text", "text": asked.prompt}]
        chat = [{"role": "user", "content": turn}]
        text = processor.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
        return dict(processor(text=[text], audio=waves(asked) or None))

    return inputs


AUDIO_FLAMINGO = Case(
    name="Audio Flamingo 3",
    hub="nvidia/audio-flamingo-3-hf",
    build=build_audio_flamingo,
    inputs=inputs_by(AudioFlamingo3Processor),
    reference="processor and forward",
)
MUSIC_FLAMINGO = Case(
    name="Music Flamingo",
    hub="nvidia/music-flamingo-2601-hf",
    build=build_music_flamingo,
    inputs=inputs_by(MusicFlamingoProcessor),
    reference="processor and forward",
)
