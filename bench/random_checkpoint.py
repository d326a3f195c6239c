"""Omni thinkers and Qwen2-Audio with random weights, the former also as text models: for measuring speed only."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoTokenizer,
    GenerationConfig,
    Qwen2_5OmniThinkerForConditionalGeneration,
    Qwen2AudioConfig,
    Qwen2AudioForConditionalGeneration,
    Qwen2Config,
    Qwen2ForCausalLM,
    WhisperFeatureExtractor,
)

from audio_eval.models.hf.families.qwen2_audio import CHAT_TEMPLATE as QWEN2_AUDIO_TEMPLATE
from audio_eval.models.tiny_omni import architecture

# "3b" and "7b" have the text and audio dimensions of the configurations on the hub; the others fit two CPU cores.
DIMENSIONS: dict[str, dict[str, Any]] = {
    "small": dict(
        text=dict(hidden_size=256, intermediate_size=768, num_hidden_layers=4, num_attention_heads=4,
                  num_key_value_heads=2, mrope=[8, 12, 12]),
        audio=dict(d_model=128, encoder_layers=2, encoder_attention_heads=4, encoder_ffn_dim=512),
    ),
    "wide": dict(
        text=dict(hidden_size=512, intermediate_size=1536, num_hidden_layers=8, num_attention_heads=8,
                  num_key_value_heads=2, mrope=[8, 12, 12]),
        audio=dict(d_model=128, encoder_layers=2, encoder_attention_heads=4, encoder_ffn_dim=512),
    ),
    "3b": dict(
        text=dict(hidden_size=2048, intermediate_size=11008, num_hidden_layers=36, num_attention_heads=16,
                  num_key_value_heads=2, vocab_size=151936, mrope=[16, 24, 24]),
        audio=dict(d_model=1280, encoder_layers=32, encoder_attention_heads=20, encoder_ffn_dim=5120),
    ),
    "7b": dict(
        text=dict(hidden_size=3584, intermediate_size=18944, num_hidden_layers=28, num_attention_heads=28,
                  num_key_value_heads=4, vocab_size=152064, mrope=[16, 24, 24]),
        audio=dict(d_model=1280, encoder_layers=32, encoder_attention_heads=20, encoder_ffn_dim=5120),
    ),
}  # fmt: skip
TINY = Path(architecture.__file__).parent / "checkpoint"


def tokenizer() -> Any:
    """The tokenizer of the embedded model: byte-level, 1024 tokens with Qwen's special ones."""
    return AutoTokenizer.from_pretrained(TINY, trust_remote_code=False)


def build_omni(dims: str, dtype: torch.dtype = torch.float32, device: str = "cpu", seed: int = 0) -> Any:
    """A thinker with random weights on ``device``; ``dims`` names a row of ``DIMENSIONS``."""
    config = architecture.config(tokenizer())
    text, audio = dict(DIMENSIONS[dims]["text"]), DIMENSIONS[dims]["audio"]
    mrope = text.pop("mrope")
    for key, value in text.items():
        setattr(config.text_config, key, value)
    config.text_config.layer_types = ["full_attention"] * text["num_hidden_layers"]
    config.text_config.rope_parameters = config.text_config.rope_parameters | {"mrope_section": mrope}
    for key, value in {**audio, "output_dim": text["hidden_size"]}.items():
        setattr(config.audio_config, key, value)
    config.vision_config.out_hidden_size = text["hidden_size"]
    torch.manual_seed(seed)
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with torch.device(device):
            return Qwen2_5OmniThinkerForConditionalGeneration(config).eval()
    finally:
        torch.set_default_dtype(before)


def save_omni(model: Any, folder: Path) -> Path:
    """Write a checkpoint folder of the thinker alone, for ``--model``."""
    model.save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    architecture.feature_extractor().save_pretrained(folder)
    return folder


def text_model(omni: Any) -> Qwen2ForCausalLM:
    """The thinker's language model and head as a Qwen2 with the same weights, for trainers of text models."""
    text = omni.config.text_config
    names = ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
             "num_key_value_heads", "max_position_embeddings", "rms_norm_eps")  # fmt: skip
    config = Qwen2Config(
        **{name: getattr(text, name) for name in names},
        tie_word_embeddings=False,
        rope_parameters={"rope_type": "default", "rope_theta": text.rope_parameters["rope_theta"]},
    )
    model = Qwen2ForCausalLM(config)
    model.model.load_state_dict(omni.model.language_model.state_dict())
    model.lm_head.load_state_dict(omni.lm_head.state_dict())
    return model.eval()


def build_qwen2_audio(dims: str, seed: int = 0) -> Any:
    """Qwen2-Audio with the text and audio widths of a row of ``DIMENSIONS`` that fits a CPU, in float32.

    The weights are larger than the initial ones, so that answers depend on the recording.
    """
    sizes, words = DIMENSIONS[dims], tokenizer()
    text = {key: value for key, value in sizes["text"].items() if key != "mrope"}
    config = Qwen2AudioConfig(
        text_config=dict(
            model_type="qwen2", vocab_size=len(words), max_position_embeddings=8192, tie_word_embeddings=False,
            rope_parameters={"rope_type": "default", "rope_theta": 1e6}, **text,
        ),
        audio_config=dict(
            model_type="qwen2_audio_encoder", num_mel_bins=128, max_source_positions=1500, **sizes["audio"]
        ),
        audio_token_index=words.convert_tokens_to_ids("<|AUDIO|>"),
        architectures=["Qwen2AudioForConditionalGeneration"],
    )  # fmt: skip
    model = Qwen2AudioForConditionalGeneration(config).eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() > 1 and "embed_positions" not in name:
                std = 0.3 if "embed_tokens" in name or "lm_head" in name else 1 / math.sqrt(parameter[0].numel())
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * std)
    return model


def save_qwen2_audio(model: Any, folder: Path) -> Path:
    """Write the layout of Qwen2-Audio-7B-Instruct's repository, which transformers' own processor opens too."""
    words = tokenizer()
    words.chat_template = None
    ends = [words.pad_token_id, words.eos_token_id]  # <|endoftext|> and <|im_end|>, as on the hub
    model.generation_config = GenerationConfig(eos_token_id=ends, pad_token_id=words.pad_token_id)
    model.save_pretrained(folder)
    words.save_pretrained(folder)
    WhisperFeatureExtractor(feature_size=128, return_attention_mask=True).save_pretrained(folder)
    settings = folder / "preprocessor_config.json"
    named = json.loads(settings.read_text()) | {"processor_class": "Qwen2AudioProcessor"}
    settings.write_text(json.dumps(named, indent=2))
    (folder / "chat_template.json").write_text(json.dumps({"chat_template": QWEN2_AUDIO_TEMPLATE}, indent=2))
    return folder
