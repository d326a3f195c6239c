"""Qwen3-Omni: the full layout, of which the thinker is read."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import (
    GenerationConfig,
    Qwen3OmniMoeConfig,
    Qwen3OmniMoeThinkerConfig,
    Qwen3OmniMoeThinkerForConditionalGeneration,
    WhisperFeatureExtractor,
)

from audio_eval.audio import RATE
from audio_eval.models.hf.policy import HFPolicy
from audio_eval.questions import Question
from tests.models.families.case import Case, Inputs, hub_weights, make_tokenizer, save_weights, wake, waves

SPECIAL = (
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|audio_start|>", "<|audio_pad|>", "<|audio_end|>",
    "<|image_pad|>", "<|video_pad|>", "<|vision_start|>", "<|vision_end|>",
)  # fmt: skip
TEMPLATE = (  # the checkpoint's, for text and audio: no system turn of its own
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}{% for part in message['content'] %}"
    "{% if part['type'] == 'audio' or 'audio' in part or 'audio_url' in part %}"
    "<|audio_start|><|audio_pad|><|audio_end|>{% elif 'text' in part %}{{ part['text'] }}{% endif %}{% endfor %}"
    "{% endif %}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{THINK}{% endif %}"
)


def build(folder: Path, think: str = "") -> None:
    """The thinker with the talker's weights beside it."""
    tokenizer = make_tokenizer(SPECIAL, eos_token="<|im_end|>", pad_token="<|endoftext|>")
    tokenizer.add_special_tokens({"additional_special_tokens": list(SPECIAL[3:])})
    ids = {token: tokenizer.convert_tokens_to_ids(token) for token in SPECIAL}
    thinker = Qwen3OmniMoeThinkerConfig(
        text_config=dict(
            vocab_size=len(tokenizer), hidden_size=48, intermediate_size=64, num_hidden_layers=2,
            num_attention_heads=4, num_key_value_heads=2, head_dim=16, max_position_embeddings=32768,
            moe_intermediate_size=24, num_experts=4, num_experts_per_tok=2,
            rope_parameters={
                "rope_type": "default", "rope_theta": 1e6, "mrope_section": [4, 2, 2], "interleaved": True,
            },
        ),
        audio_config=dict(
            num_mel_bins=128, d_model=32, encoder_layers=2, encoder_attention_heads=2, encoder_ffn_dim=48,
            output_dim=48, downsample_hidden_size=4,
        ),
        vision_config=dict(
            depth=1, hidden_size=16, intermediate_size=16, num_heads=2, out_hidden_size=48, num_position_embeddings=16,
            deepstack_visual_indexes=[0],
        ),
        audio_token_id=ids["<|audio_pad|>"], image_token_id=ids["<|image_pad|>"], video_token_id=ids["<|video_pad|>"],
        audio_start_token_id=ids["<|audio_start|>"], user_token_id=tokenizer.convert_tokens_to_ids("user"),
        vision_start_token_id=ids["<|vision_start|>"], vision_end_token_id=ids["<|vision_end|>"],
        audio_end_token_id=ids["<|audio_end|>"],
    )  # fmt: skip
    torch.manual_seed(3)
    model = Qwen3OmniMoeThinkerForConditionalGeneration(thinker).eval()
    wake(model, model.lm_head.weight, [])
    Qwen3OmniMoeConfig(
        thinker_config=thinker.to_dict(), enable_audio_output=not think,
        architectures=["Qwen3OmniMoeForConditionalGeneration"],
    ).save_pretrained(folder)  # fmt: skip
    weights = {f"thinker.{name}": tensor for name, tensor in hub_weights(model).items()}
    if not think:  # the Thinking checkpoint has no talker
        weights["talker.codec_head.weight"] = torch.randn(40, 32)
    save_weights(folder, weights)
    GenerationConfig(eos_token_id=[tokenizer.eos_token_id], pad_token_id=tokenizer.pad_token_id).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / "chat_template.jinja").write_text(TEMPLATE.replace("{THINK}", think))
    WhisperFeatureExtractor(feature_size=128, chunk_length=30, return_attention_mask=True).save_pretrained(folder)


def build_thinking(folder: Path) -> None:
    build(folder, think="<think>\n")


def inputs(policy: HFPolicy, folder: Path, asked: Question, think: str = "") -> Inputs:
    """What Qwen3OmniMoeProcessor makes of each clip: unpadded features, placeholders repeated."""
    extractor, found, written = WhisperFeatureExtractor.from_pretrained(folder), {}, ""
    heard = [
        extractor(
            wave, sampling_rate=RATE, padding=True, truncation=False, return_attention_mask=True, return_tensors="pt"
        )
        for wave in waves(asked)
    ]
    for clip in heard:
        frames = int(clip["attention_mask"].sum())
        rest = (((frames % 100 - 1) // 2 + 1 - 1) // 2 + 1 - 1) // 2 + 1
        written += f"<|audio_start|>{'<|audio_pad|>' * (rest + frames // 100 * 13)}<|audio_end|>"
    if heard:
        stack = torch.nn.utils.rnn.pad_sequence
        features = stack([clip["input_features"][0].T for clip in heard], batch_first=True).transpose(1, 2)
        mask = stack([clip["attention_mask"][0] for clip in heard], batch_first=True)
        found = {"input_features": features, "feature_attention_mask": mask}
    text = f"<|im_start|>user\n{written}{asked.prompt}<|im_end|>\n<|im_start|>assistant\n{think}"
    return found | {"input_ids": torch.tensor([policy.tokenizer.encode(text, add_special_tokens=False)])}


def thinking_inputs(policy: HFPolicy, folder: Path, asked: Question) -> Inputs:
    return inputs(policy, folder, asked, think="<think>\n")


REFERENCE = "extractor, tokenizer and forward (the processor needs torchvision)"
INSTRUCT = Case(
    name="Qwen3-Omni Instruct",
    hub="Qwen/Qwen3-Omni-30B-A3B-Instruct",
    build=build,
    inputs=inputs,
    reference=REFERENCE,
)
THINKING = Case(
    name="Qwen3-Omni Thinking",
    hub="Qwen/Qwen3-Omni-30B-A3B-Thinking",
    build=build_thinking,
    inputs=thinking_inputs,
    reference=REFERENCE,
)
