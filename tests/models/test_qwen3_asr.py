"""Qwen3-ASR: transformers loads it, and its chat template has no place for a question."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import (
    Qwen2Tokenizer,
    Qwen3ASRConfig,
    Qwen3ASRFeatureExtractor,
    Qwen3ASRForConditionalGeneration,
    Qwen3ASRProcessor,
)

from audio_eval.errors import UserError
from audio_eval.models.backends import load_policy
from tests.models.families.case import make_tokenizer

SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|audio_start|>", "<|audio_pad|>", "<|audio_end|>")
# the hub's without its prefilled languages: text of the system turn alone, a placeholder for each clip
TEMPLATE = """{%- set ns = namespace(context='', audio='') -%}
{%- for m in messages -%}
{%- for c in m.content if c is mapping -%}
{%- if c.type == 'text' and m.role == 'system' -%}{%- set ns.context = ns.context + c.text -%}
{%- elif c.type == 'audio' -%}{%- set ns.audio = ns.audio + '<|audio_start|><|audio_pad|><|audio_end|>' -%}{%- endif -%}
{%- endfor -%}
{%- endfor -%}
{{- '<|im_start|>system\n' + ns.context + '<|im_end|>\n<|im_start|>user\n' + ns.audio + '<|im_end|>\n' -}}
{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\n' -}}{%- endif -%}"""


def test_it_is_refused(tmp_path: Path) -> None:
    tokenizer = make_tokenizer(SPECIAL, eos_token="<|im_end|>", pad_token="<|endoftext|>")
    named = {"audio_token": "<|audio_pad|>", "audio_bos_token": "<|audio_start|>", "audio_eos_token": "<|audio_end|>"}
    tokenizer = Qwen2Tokenizer(
        tokenizer_object=tokenizer.backend_tokenizer, eos_token="<|im_end|>", pad_token="<|endoftext|>",
        extra_special_tokens=named,
    )  # fmt: skip
    config = Qwen3ASRConfig(
        text_config=dict(
            model_type="qwen3", vocab_size=len(tokenizer), hidden_size=32, intermediate_size=32, num_hidden_layers=1,
            num_attention_heads=2, num_key_value_heads=1, head_dim=16,
        ),
        audio_config=dict(
            model_type="qwen3_asr_encoder", d_model=16, encoder_layers=1, encoder_attention_heads=2,
            encoder_ffn_dim=16, output_dim=32, downsample_hidden_size=4,
        ),
        audio_token_id=tokenizer.convert_tokens_to_ids("<|audio_pad|>"),
    )  # fmt: skip
    torch.manual_seed(0)
    Qwen3ASRForConditionalGeneration(config).save_pretrained(tmp_path)
    Qwen3ASRProcessor(Qwen3ASRFeatureExtractor(), tokenizer, chat_template=TEMPLATE).save_pretrained(tmp_path)
    with pytest.raises(UserError, match="'qwen3_asr', which has no family of its own, and its chat template drops"):
        load_policy(str(tmp_path))
