"""MOSS-Transcribe-Diarize, for the generic adapter: a type that no file knows, and that transformers loads."""

from __future__ import annotations

from pathlib import Path

import torch
import transformers
from transformers import AutoProcessor, GenerationConfig

from audio_eval.audio import RATE
from audio_eval.models.hf.policy import HFPolicy
from audio_eval.questions import Question
from tests.models.families.case import Case, Inputs, make_tokenizer, wake, waves

SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|audio_start|>", "<|audio_pad|>", "<|audio_end|>")
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{% for part in message['content'] %}"
    "{% if part['type'] == 'audio' %}<|audio_start|><|audio_pad|><|audio_end|>{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def build(folder: Path, marker_seconds: int = 0) -> None:
    """``marker_seconds``: the processor writes the time into a clip so often; 0: never."""
    tokenizer = make_tokenizer(SPECIAL, eos_token="<|im_end|>", pad_token="<|endoftext|>")
    tokenizer.add_special_tokens({"additional_special_tokens": list(SPECIAL[3:])})
    config = transformers.MossTranscribeDiarizeConfig(
        text_config=dict(
            model_type="qwen3", vocab_size=len(tokenizer), hidden_size=48, intermediate_size=64, num_hidden_layers=2,
            num_attention_heads=4, num_key_value_heads=2, head_dim=16, max_position_embeddings=32768,
            tie_word_embeddings=False, rope_parameters={"rope_type": "default", "rope_theta": 1e6},
        ),
        audio_config=dict(
            hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=48, num_mel_bins=80,
        ),
        audio_token_id=tokenizer.convert_tokens_to_ids("<|audio_pad|>"), tie_word_embeddings=False,
    )  # fmt: skip
    torch.manual_seed(3)
    model = transformers.MossTranscribeDiarizeForConditionalGeneration(config).eval()
    wake(model, model.lm_head.weight, [tokenizer.eos_token_id])
    model.generation_config = GenerationConfig(eos_token_id=[tokenizer.eos_token_id])
    model.save_pretrained(folder)
    extractor = transformers.MossTranscribeDiarizeFeatureExtractor()
    transformers.MossTranscribeDiarizeProcessor(
        extractor, tokenizer, TEMPLATE, time_marker_every_seconds=marker_seconds
    ).save_pretrained(folder)


def inputs(policy: HFPolicy, folder: Path, asked: Question) -> Inputs:
    """By the checkpoint's own processor."""
    processor = AutoProcessor.from_pretrained(folder)
    turn = [*({"type": "audio"} for _ in asked.audios), {"type": "text", "text": asked.prompt}]
    text = processor.apply_chat_template(
        [{"role": "user", "content": turn}], tokenize=False, add_generation_prompt=True
    )
    heard = {"audio": waves(asked), "sampling_rate": RATE} if asked.audios else {}
    return dict(processor(text=[text], return_tensors="pt", **heard))


GENERIC = Case(
    name="any other (generic)",
    hub="what AutoModelForMultimodalLM loads; checked on moss_transcribe_diarize without time markers",
    build=build,
    inputs=inputs,
    reference="processor and forward",
    since="5.20",
)
