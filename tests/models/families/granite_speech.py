"""Granite Speech in the layout of the hub's 3.3, with the adapter that it hears through beside it; and Plus."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tokenizers import AddedToken
from transformers import (
    GraniteSpeechConfig,
    GraniteSpeechForConditionalGeneration,
    GraniteSpeechPlusConfig,
    GraniteSpeechPlusForConditionalGeneration,
)

from audio_eval.audio import RATE
from audio_eval.models.hf.families.granite_mel import GraniteMel
from audio_eval.models.hf.policy import HFPolicy
from audio_eval.questions import Question
from tests.models.families.case import FIRST, Case, Inputs, make_tokenizer, save_as_hub, wake, waves

SPECIAL = [
    AddedToken(token, special=True)
    for token in (
        "<|end_of_text|>",
        "<fim_prefix>",
        "<|start_of_role|>",
        "<|end_of_role|>",
        "<|tool_call|>",
        "<|audio|>",
    )
]
# Granite 3.3's, without tools, documents and thinking: a system prompt with today's date is made where there is none
TEMPLATE = (
    "{%- if messages[0]['role'] == 'system' %}{%- set system_message = messages[0]['content'] %}"
    '{%- set loop_messages = messages[1:] %}{%- else %}{%- set system_message = "Knowledge Cutoff Date: April 2024.'
    "\nToday's Date: \" + strftime_now('%B %d, %Y') + \".\nYou are Granite, developed by IBM.\" %}"
    "{%- set loop_messages = messages %}{%- endif %}"
    "{{- '<|start_of_role|>system<|end_of_role|>' + system_message + '<|end_of_text|>\n' }}"
    "{%- for message in loop_messages %}"
    "{{- '<|start_of_role|>' + message['role'] + '<|end_of_role|>' + message['content'] + '<|end_of_text|>\n' }}"
    "{%- if loop.last and add_generation_prompt %}{{- '<|start_of_role|>assistant<|end_of_role|>' }}{%- endif %}"
    "{%- endfor %}"
)
DATES = {"Granite Speech": "April 9, 2025", "Granite Speech Plus": "December 19, 2024"}  # of the model cards
RANK, SCALING = 4, 8.0


def build(folder: Path, plus: bool = False) -> None:
    """The hub's layout in ``folder``; Plus has no adapter."""
    folder.mkdir(parents=True)
    tokenizer = make_tokenizer(SPECIAL, eos_token="<|end_of_text|>", pad_token="<|end_of_text|>")
    config_class = GraniteSpeechPlusConfig if plus else GraniteSpeechConfig
    model_class: Any = GraniteSpeechPlusForConditionalGeneration if plus else GraniteSpeechForConditionalGeneration
    config = config_class(
        text_config=dict(
            model_type="granite", vocab_size=len(tokenizer), hidden_size=64, intermediate_size=96,
            num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=16384,
            embedding_multiplier=0.5, logits_scaling=SCALING, residual_multiplier=0.8, attention_multiplier=0.125,
            tie_word_embeddings=True, bos_token_id=0, eos_token_id=0, pad_token_id=0,
        ),
        encoder_config=dict(
            model_type="granite_speech_plus_encoder" if plus else "granite_speech_encoder", num_layers=2, hidden_dim=32,
            feedforward_mult=2, num_heads=2, dim_head=16, output_dim=12, context_size=50, max_pos_emb=64,
            conv_kernel_size=7, **({"cat_hidden_layers": [1]} if plus else {}),
        ),
        projector_config=dict(
            model_type="blip_2_qformer", hidden_size=32, num_hidden_layers=1, num_attention_heads=2, vocab_size=8,
            intermediate_size=64, encoder_hidden_size=64 if plus else 32, cross_attention_frequency=1,
        ),
        audio_token_index=tokenizer.convert_tokens_to_ids("<|audio|>"), has_lora_adapter=not plus,
        tie_word_embeddings=True, architectures=[model_class.__name__],
    )  # fmt: skip
    torch.manual_seed(9)
    model = model_class(config).eval()
    wake(model, model.lm_head.weight, [])
    save_as_hub(folder, config, model)
    if not plus:
        _save_lora(folder)
    tokenizer.chat_template = TEMPLATE
    tokenizer.save_pretrained(folder)
    preprocessor = {
        "feature_extractor_type": "GraniteSpeechFeatureExtractor", "processor_class": "GraniteSpeechProcessor",
        "melspec_kwargs": {"hop_length": 160, "n_fft": 512, "n_mels": 80, "sample_rate": RATE, "win_length": 400},
        "projector_downsample_rate": 5, "projector_window_size": 15, "sampling_rate": RATE,
    }  # fmt: skip
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor, indent=2))
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": 0, "pad_token_id": 0}))


def _save_lora(folder: Path) -> None:
    """Queries and values of each layer, under the names of the class's first layout, which the hub has."""
    generator = torch.Generator().manual_seed(10)
    tensors = {}
    for layer in range(2):
        for module, rows in (("q_proj", 64), ("v_proj", 32)):
            key = f"base_model.model.language_model.model.layers.{layer}.self_attn.{module}"
            tensors[f"{key}.lora_A.weight"] = torch.randn(RANK, 64, generator=generator) * 0.1
            tensors[f"{key}.lora_B.weight"] = torch.randn(rows, RANK, generator=generator) * 0.1
    save_file(tensors, folder / "adapter_model.safetensors", {"format": "pt"})
    settings = {
        "base_model_name_or_path": "/models/granite-speech", "bias": "none", "inference_mode": True,
        "lora_alpha": 2 * RANK, "lora_dropout": 0.1, "peft_type": "LORA", "r": RANK,
        "target_modules": ["q_proj", "v_proj"], "task_type": "CAUSAL_LM",
    }  # fmt: skip
    (folder / "adapter_config.json").write_text(json.dumps(settings))


def inputs(policy: HFPolicy, folder: Path, asked: Question) -> Inputs:
    """What GraniteSpeechProcessor makes, with features that test_granite_mel.py compares with torchaudio's."""
    heard, counts = {}, []
    if asked.audios:
        clips = waves(asked)
        longest = max(len(wave) for wave in clips)
        padded = [
            GraniteMel()(torch.nn.functional.pad(torch.from_numpy(w), (0, longest - len(w))).numpy()) for w in clips
        ]
        counts = [3 * -(-((len(wave) // 160 + 1) // 2) // 15) for wave in clips]
        mask = torch.arange(max(counts))[None] < torch.tensor(counts)[:, None]
        heard = {"input_features": torch.stack([torch.from_numpy(f) for f in padded]), "input_features_mask": mask}
    text = (
        "<|start_of_role|>system<|end_of_role|>Knowledge Cutoff Date: April 2024.\n"
        f"Today's Date: {DATES[policy.checkpoint.family.name]}.\n"
        "You are Granite, developed by IBM. You are a helpful AI assistant<|end_of_text|>\n"
        f"<|start_of_role|>user<|end_of_role|>{''.join('<|audio|>' * n for n in counts)}{asked.prompt}<|end_of_text|>\n"
        "<|start_of_role|>assistant<|end_of_role|>"
    )
    return {"input_ids": torch.tensor([policy.tokenizer.encode(text, add_special_tokens=False)]), **heard}


def _case(name: str, hub: str, builder: Callable[[Path], None]) -> Case:
    return Case(
        name=name, hub=hub, build=builder, inputs=inputs, divisor=SCALING, second_clip=FIRST,
        reference="features, tokenizer and forward with its logits divided (the extractor needs torchaudio)",
    )  # fmt: skip


GRANITE_SPEECH = _case("Granite Speech", "ibm-granite/granite-speech-3.3-2b, -8b", build)
GRANITE_SPEECH_PLUS = _case("Granite Speech Plus", "ibm-granite/granite-speech-4.1-2b-plus", partial(build, plus=True))
