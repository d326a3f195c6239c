"""Qwen2.5-Omni and Qwen2-Audio; their tiny checkpoints are those of the engine's own tests."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import Qwen2AudioProcessor, WhisperFeatureExtractor

from audio_eval.audio import RATE
from audio_eval.models.hf.policy import HFPolicy
from audio_eval.questions import Question
from tests.models.checkpoints import build_omni, build_qwen2_audio
from tests.models.families.case import Case, Inputs, waves


def omni_inputs(policy: HFPolicy, folder: Path, asked: Question) -> Inputs:
    """What Qwen2_5OmniProcessor makes: clips padded to its window, placeholders repeated."""
    extractor, inputs, counts = WhisperFeatureExtractor.from_pretrained(folder), {}, []
    if asked.audios:
        heard = extractor(
            waves(asked), sampling_rate=RATE, padding="max_length", return_attention_mask=True, return_tensors="pt"
        )
        inputs = {"input_features": heard["input_features"], "feature_attention_mask": heard["attention_mask"]}
        counts = [((n - 1) // 2 + 1 - 2) // 2 + 1 for n in heard["attention_mask"].sum(-1).tolist()]
    written = "".join(f"<|audio_bos|>{'<|AUDIO|>' * n}<|audio_eos|>" for n in counts)
    text = (
        "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
        f"<|im_start|>user\n{written}{asked.prompt}<|im_end|>\n<|im_start|>assistant\n"
    )
    return inputs | {"input_ids": torch.tensor([policy.tokenizer.encode(text, add_special_tokens=False)])}


def qwen2_audio_inputs(policy: HFPolicy, folder: Path, asked: Question) -> Inputs:
    """Its own processor."""
    processor = Qwen2AudioProcessor.from_pretrained(folder)
    turn = [*({"type": "audio", "audio_url": ""} for _ in asked.audios), {"type": "text", "text": asked.prompt}]
    text = processor.apply_chat_template(
        [{"role": "user", "content": turn}], tokenize=False, add_generation_prompt=True
    )
    heard = {"audio": waves(asked), "sampling_rate": RATE} if asked.audios else {}
    return dict(processor(text=text, return_tensors="pt", **heard))


OMNI = Case(
    name="Qwen2.5-Omni",
    hub="Qwen/Qwen2.5-Omni-3B, -7B",
    build=lambda folder: void(build_omni(folder)),
    inputs=omni_inputs,
    reference="extractor, tokenizer and forward (the processor needs torchvision)",
)
QWEN2_AUDIO = Case(
    name="Qwen2-Audio",
    hub="Qwen/Qwen2-Audio-7B-Instruct",
    build=lambda folder: void(build_qwen2_audio(folder)),
    inputs=qwen2_audio_inputs,
    reference="processor and forward",
)


def void(_: object) -> None:
    """Drops the weights that a builder returns."""
