"""Gemma 4, with a conformer (E2B, E4B) and without (12B): tiny random checkpoints in the hub's layout."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import (
    Gemma4AudioFeatureExtractor,
    Gemma4Config,
    Gemma4ForConditionalGeneration,
    Gemma4UnifiedAudioFeatureExtractor,
    Gemma4UnifiedConfig,
    Gemma4UnifiedForConditionalGeneration,
    GemmaTokenizer,
)

from tests.models.families.case import Case
from tests.models.families.gemma import HIDDEN, REFERENCE, make_tokenizer, processed, save, settings_of, wake_all

MELS = 32  # of the tiny tower, which has as many channels; the hub's has 128
# Gemma 4's for text and audio; the hub's has tools and thinking besides
TEMPLATE = r"""{{ bos_token }}
{%- for message in messages -%}
    {%- set role = 'model' if message['role'] == 'assistant' else message['role'] -%}
    {{ '<|turn>' + role + '\n' }}
    {%- if message['content'] is string -%}
        {{ message['content'] | trim }}
    {%- else -%}
        {%- for item in message['content'] -%}
            {%- if item['type'] == 'text' -%}
                {{ item['text'] | trim }}
            {%- elif item['type'] == 'image' -%}
                {{ '<|image|>' }}
            {%- elif item['type'] == 'audio' -%}
                {{ '<|audio|>' }}
            {%- endif -%}
        {%- endfor -%}
    {%- endif -%}
    {{ '<turn|>\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}
    {{ '<|turn>model\n' }}
{%- endif -%}
"""
TOKENS = {
    "audio_token": "<|audio|>", "boa_token": "<|audio>", "eoa_token": "<audio|>", "image_token": "<|image|>",
    "boi_token": "<|image>", "eoi_token": "<image|>", "sot_token": "<|turn>", "eot_token": "<turn|>",
}  # fmt: skip


def build_conformer(folder: Path) -> None:
    """The layout of Gemma 4 E2B, vision part included."""
    tokenizer = _tokenizer()
    config = Gemma4Config(
        text_config=_text(tokenizer) | dict(
            vocab_size_per_layer_input=len(tokenizer), num_key_value_heads=1, num_kv_shared_layers=2,
            use_double_wide_mlp=True, hidden_size_per_layer_input=8,
        ),
        audio_config=dict(
            hidden_size=32, num_hidden_layers=2, num_attention_heads=4, subsampling_conv_channels=[MELS, 4],
            output_proj_dims=24,
        ),
        vision_config=dict(
            hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=2,
            head_dim=8, position_embedding_size=16,
        ),
        **_ids(tokenizer),
    )  # fmt: skip
    extractor = Gemma4AudioFeatureExtractor(feature_size=MELS)
    _build(folder, Gemma4ForConditionalGeneration, config, tokenizer, extractor)


def build_unified(folder: Path) -> None:
    """The layout of Gemma 4 12B, vision part included."""
    tokenizer = _tokenizer()
    config = Gemma4UnifiedConfig(
        text_config=_text(tokenizer) | dict(
            num_key_value_heads=2, num_global_key_value_heads=1, attention_k_eq_v=True,
            use_bidirectional_attention="vision",
        ),
        audio_config=dict(audio_embed_dim=640),
        vision_config=dict(mm_embed_dim=HIDDEN, mm_posemb_size=8, output_proj_dims=HIDDEN),
        **_ids(tokenizer),
    )  # fmt: skip
    extractor = Gemma4UnifiedAudioFeatureExtractor()
    _build(folder, Gemma4UnifiedForConditionalGeneration, config, tokenizer, extractor)


def _tokenizer() -> GemmaTokenizer:
    return make_tokenizer([*TOKENS.values(), "<|video|>"], TOKENS)


def _text(tokenizer: Any) -> dict[str, Any]:
    return dict(
        vocab_size=len(tokenizer), hidden_size=HIDDEN, intermediate_size=64, num_hidden_layers=4,
        num_attention_heads=4, head_dim=16, global_head_dim=32, sliding_window=24,
        layer_types=2 * ["sliding_attention", "full_attention"], final_logit_softcapping=8.0,
        max_position_embeddings=4096,
    )  # fmt: skip


def _ids(tokenizer: Any) -> dict[str, int]:
    names = {
        "audio_token_id": "<|audio|>", "boa_token_id": "<|audio>", "eoa_token_index": "<audio|>",
        "image_token_id": "<|image|>", "boi_token_id": "<|image>", "eoi_token_id": "<image|>",
        "video_token_id": "<|video|>",
    }  # fmt: skip
    return {name: tokenizer.convert_tokens_to_ids(token) for name, token in names.items()}


def _build(folder: Path, model_class: Any, config: Any, tokenizer: Any, extractor: Any) -> None:
    folder.mkdir(parents=True)
    torch.manual_seed(6)
    model = model_class(config).eval()
    wake_all(model, tokenizer.convert_tokens_to_ids("<turn|>"))
    processor = {
        "audio_ms_per_token": 40, "audio_seq_length": 750, "feature_extractor": settings_of(extractor),
        "image_processor": {"image_processor_type": "Gemma4ImageProcessor"}, "image_seq_length": 280,
        "processor_class": model_class.__name__.replace("ForConditionalGeneration", "Processor"),
    }  # fmt: skip
    save(folder, model, tokenizer, TEMPLATE, {"processor": processor}, ["<eos>", "<turn|>"])


GEMMA4 = Case(
    name="Gemma 4",
    hub="google/gemma-4-E2B-it, -E4B-it",
    build=build_conformer,
    inputs=lambda _, folder, asked: processed("Gemma4Processor", folder, asked),
    reference=REFERENCE,
)
GEMMA4_UNIFIED = Case(
    name="Gemma 4 12B",
    hub="google/gemma-4-12B-it",
    build=build_unified,
    inputs=lambda _, folder, asked: processed("Gemma4UnifiedProcessor", folder, asked),
    reference=REFERENCE,
)
