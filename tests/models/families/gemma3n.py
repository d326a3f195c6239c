"""Gemma 3n: a tiny random checkpoint in the hub's layout."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from transformers import (
    Gemma3nAudioFeatureExtractor,
    Gemma3nConfig,
    Gemma3nForConditionalGeneration,
)

from audio_eval.models.hf.families.no_vision import NoVisionConfig
from tests.models.families.case import FIRST, Case
from tests.models.families.gemma import HIDDEN, REFERENCE, make_tokenizer, processed, save, settings_of, wake_all

RESERVED = 8  # ids of the vision vocabulary, and of the audio vocabulary, behind the text vocabulary
# Gemma 3n's, as in the hub's chat_template.jinja
TEMPLATE = r"""{{ bos_token }}
{%- if messages[0]['role'] == 'system' -%}
    {%- if messages[0]['content'] is string -%}
        {%- set first_user_prefix = messages[0]['content'] + '\n\n' -%}
    {%- else -%}
        {%- set first_user_prefix = messages[0]['content'][0]['text'] + '\n\n' -%}
    {%- endif -%}
    {%- set loop_messages = messages[1:] -%}
{%- else -%}
    {%- set first_user_prefix = "" -%}
    {%- set loop_messages = messages -%}
{%- endif -%}
{%- for message in loop_messages -%}
    {%- set role = 'model' if message['role'] == 'assistant' else message['role'] -%}
    {{ '<start_of_turn>' + role + '\n' + (first_user_prefix if loop.first else "") }}
    {%- if message['content'] is string -%}
        {{ message['content'] | trim }}
    {%- else -%}
        {%- for item in message['content'] -%}
            {%- if item['type'] == 'audio' -%}
                {{ '<audio_soft_token>' }}
            {%- elif item['type'] == 'image' -%}
                {{ '<image_soft_token>' }}
            {%- elif item['type'] == 'text' -%}
                {{ item['text'] | trim }}
            {%- endif -%}
        {%- endfor -%}
    {%- endif -%}
    {{ '<end_of_turn>\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}
    {{'<start_of_turn>model\n'}}
{%- endif -%}
"""
TOKENS = {
    "audio_token": "<audio_soft_token>", "boa_token": "<start_of_audio>", "eoa_token": "<end_of_audio>",
    "image_token": "<image_soft_token>", "boi_token": "<start_of_image>", "eoi_token": "<end_of_image>",
}  # fmt: skip


def build(folder: Path) -> None:
    """Gemma 3n's layout with a weight of the vision tower, which nothing reads."""
    folder.mkdir(parents=True)
    turns = ["<start_of_image>", "<start_of_audio>", "<start_of_turn>", "<end_of_turn>"]
    fill = iter(f"<unused{i}>" for i in range(2 * RESERVED))
    last = ["<end_of_image>", "<image_soft_token>", *(next(fill) for _ in range(RESERVED - 2))]
    last += ["<end_of_audio>", "<audio_soft_token>", *(next(fill) for _ in range(RESERVED - 2))]
    tokenizer = make_tokenizer(turns, TOKENS, last)
    text = len(tokenizer) - 2 * RESERVED
    ids = {f"{name}_id": tokenizer.convert_tokens_to_ids(token) for name, token in TOKENS.items()}
    vision = dict(hidden_size=16, vocab_size=RESERVED, vocab_offset=text, label_names=["LABEL_0", "LABEL_1"])
    config = Gemma3nConfig(
        text_config=dict(
            vocab_size=len(tokenizer), vocab_size_per_layer_input=text, hidden_size=HIDDEN, intermediate_size=64,
            num_hidden_layers=4, num_attention_heads=4, num_key_value_heads=2, head_dim=16, sliding_window=24,
            layer_types=2 * ["sliding_attention", "full_attention"], num_kv_shared_layers=2, laurel_rank=8,
            hidden_size_per_layer_input=8, altup_num_inputs=2, activation_sparsity_pattern=[0.5, 0.0, 0.0, 0.0],
            final_logit_softcapping=8.0, max_position_embeddings=4096,
        ),
        audio_config=dict(
            vocab_size=RESERVED, vocab_offset=text + RESERVED, hidden_size=32, conf_num_attention_heads=4,
            conf_num_hidden_layers=2, sscp_conv_channel_size=[8, 4],
        ),
        vision_config=vision,
        **ids,
    )  # fmt: skip
    config.architectures = ["Gemma3nForConditionalGeneration"]
    published = config.to_dict()
    config.vision_config = NoVisionConfig(**config.vision_config.to_dict())
    torch.manual_seed(5)
    model = Gemma3nForConditionalGeneration(config).eval()
    wake_all(model, tokenizer.convert_tokens_to_ids("<end_of_turn>"))
    image = {"image_processor_type": "SiglipImageProcessorFast", "image_seq_length": 256, "do_resize": True}
    processor = {
        "preprocessor": settings_of(Gemma3nAudioFeatureExtractor()) | image | {"processor_class": "Gemma3nProcessor"},
        "processor": {"audio_seq_length": 188, "image_seq_length": 256, "processor_class": "Gemma3nProcessor"},
    }
    unread = {"model.vision_tower.timm_model.conv_stem.conv.weight": torch.randn(8, 3, 3, 3)}
    save(folder, model, tokenizer, TEMPLATE, processor, ["<eos>", "<end_of_turn>"], unread)
    (folder / "config.json").write_text(json.dumps(published, indent=2))


GEMMA3N = Case(
    name="Gemma 3n",
    hub="google/gemma-3n-E2B-it, -E4B-it",
    build=build,
    inputs=lambda _, folder, asked: processed("Gemma3nProcessor", folder, asked),
    reference=REFERENCE,
    second_clip=FIRST,
)
