"""GLM-ASR: a tiny random checkpoint in the hub's layout, and what its own processor makes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from transformers import GlmAsrConfig, GlmAsrForConditionalGeneration, GlmAsrProcessor, WhisperFeatureExtractor

from audio_eval.models.hf.policy import HFPolicy
from audio_eval.questions import Question
from tests.models.families.case import Case, Inputs, make_tokenizer, wake, waves

# the hub's chat_template.jinja: the clip and the text stand in turns of their own
TEMPLATE = """{%- macro to_text(content) -%}
{%- if content is string -%}
{{- content -}}
{%- elif content is iterable and content is not mapping -%}
{%- for item in content -%}
{%- if item is mapping and item.type == 'text' and item.text is defined -%}
{{- item.text -}}
{%- elif item is mapping and (item.type == 'audio' or 'audio' in item) -%}
<|begin_of_audio|><|pad|><|end_of_audio|><|user|>
{% elif item is string -%}
{{- item -}}
{%- endif -%}
{%- endfor -%}
{%- else -%}
{{- content -}}
{%- endif -%}
{%- endmacro -%}
{%- for m in messages -%}
{%- if m.role == 'system' -%}
<|system|>
{{ to_text(m.content) | trim }}
{%- elif m.role == 'user' -%}
<|user|>
{{ to_text(m.content) | trim }}
{%- elif m.role == 'assistant' -%}
<|assistant|>
{{ to_text(m.content) | trim }}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}
<|assistant|>
{% endif -%}"""
SPECIAL = (
    "<|endoftext|>", "<|system|>", "<|user|>", "<|assistant|>", "<|pad|>", "<|begin_of_audio|>", "<|end_of_audio|>"
)  # fmt: skip


def build(folder: Path) -> None:
    """The layout of GLM-ASR-Nano-2512."""
    folder.mkdir(parents=True)
    tokenizer = make_tokenizer(SPECIAL, eos_token="<|endoftext|>", pad_token="<|endoftext|>")
    ends = tokenizer.convert_tokens_to_ids(["<|endoftext|>", "<|user|>"])
    config = GlmAsrConfig(
        text_config=dict(
            model_type="llama", vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2,
            num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=8192, eos_token_id=ends,
        ),
        audio_config=dict(
            model_type="glmasr_encoder", hidden_size=16, intermediate_size=64, num_hidden_layers=2,
            num_attention_heads=2,
        ),
        audio_token_id=tokenizer.convert_tokens_to_ids("<|pad|>"),
    )  # fmt: skip
    torch.manual_seed(8)
    model = GlmAsrForConditionalGeneration(config).eval()
    wake(model, model.lm_head.weight, ends[:1])
    model.save_pretrained(folder)
    extractor = WhisperFeatureExtractor(feature_size=128)
    GlmAsrProcessor(extractor, tokenizer, chat_template=TEMPLATE).save_pretrained(folder)
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": ends}))


def inputs(policy: HFPolicy, folder: Path, asked: Question) -> Inputs:
    """Its own processor."""
    parts: list[dict[str, Any]] = [{"type": "audio", "audio": wave} for wave in waves(asked)]
    turn = {"role": "user", "content": [*parts, {"type": "text", "text": asked.prompt}]}
    processor = GlmAsrProcessor.from_pretrained(folder)
    return dict(processor.apply_chat_template([turn], tokenize=True, return_dict=True, add_generation_prompt=True))


GLM_ASR = Case(
    name="GLM-ASR", hub="zai-org/GLM-ASR-Nano-2512", build=build, inputs=inputs, reference="processor and forward"
)
