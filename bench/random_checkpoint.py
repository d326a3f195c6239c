"""Omni thinkers with random weights, also as plain Qwen2 text models: for measuring speed only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer, Qwen2_5OmniThinkerForConditionalGeneration, Qwen2Config, Qwen2ForCausalLM

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
    return AutoTokenizer.from_pretrained(TINY)


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
