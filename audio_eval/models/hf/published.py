"""Configurations of hub repositories as published, as far as they decide sizes: what can be said without a download."""

from __future__ import annotations

from typing import Any

_AUDIO = {"d_model": 1280, "encoder_layers": 32, "encoder_attention_heads": 20, "encoder_ffn_dim": 5120}
_VISION = {"depth": 32, "hidden_size": 1280, "intermediate_size": 3420, "num_heads": 16}


def _omni(mrope: tuple[int, ...] = (16, 24, 24), **text: int) -> tuple[str, dict[str, Any]]:
    """A thinker of Qwen2.5-Omni."""
    rope = {"rope_type": "default", "rope_theta": 1e6, "mrope_section": list(mrope)}
    width = text["hidden_size"]
    return "qwen2_5_omni_thinker", {
        "text_config": text | {"rope_parameters": rope, "tie_word_embeddings": False},
        "audio_config": _AUDIO | {"output_dim": width, "num_mel_bins": 128, "n_window": 100},
        "vision_config": _VISION | {"out_hidden_size": width},
    }


# source -> (type, configuration)
PUBLISHED: dict[str, tuple[str, dict[str, Any]]] = {
    "Qwen/Qwen2.5-Omni-3B": _omni(
        hidden_size=2048, intermediate_size=11008, num_hidden_layers=36, num_attention_heads=16, num_key_value_heads=2,
        vocab_size=151936,
    ),
    "Qwen/Qwen2.5-Omni-7B": _omni(
        hidden_size=3584, intermediate_size=18944, num_hidden_layers=28, num_attention_heads=28, num_key_value_heads=4,
        vocab_size=152064,
    ),
    "Qwen/Qwen2-Audio-7B-Instruct": (
        "qwen2_audio",
        {
            "text_config": {
                "model_type": "qwen2", "hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32,
                "num_attention_heads": 32, "num_key_value_heads": 32, "vocab_size": 156032,
                "tie_word_embeddings": False,
            },
            "audio_config": _AUDIO | {"model_type": "qwen2_audio_encoder", "num_mel_bins": 128},
        },
    ),
}  # fmt: skip
