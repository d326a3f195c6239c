"""Voxtral: Llama's and Whisper's parts, and Mistral's tokenizer in tekken.json, as the hub has them."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import torch
from transformers import VoxtralConfig, VoxtralForConditionalGeneration, WhisperFeatureExtractor
from transformers.convert_slow_tokenizer import bytes_to_unicode

from audio_eval.audio import RATE
from audio_eval.models.hf.policy import HFPolicy
from audio_eval.questions import Question
from tests.models.families.case import Case, Inputs, make_tokenizer, save_as_hub, wake, waves

SPECIAL = [  # of Voxtral's tekken.json, in its order
    "<unk>", "<s>", "</s>", "[INST]", "[/INST]", "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]", "[TOOL_RESULTS]",
    "[/TOOL_RESULTS]", "[TOOL_CALLS]", "[IMG]", "<pad>", "[IMG_BREAK]", "[IMG_END]", "[PREFIX]", "[MIDDLE]", "[SUFFIX]",
    "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]", "[TOOL_CONTENT]", "[ARGS]", "[CALL_ID]", "[THINK]", "[/THINK]", "[AUDIO]",
    "[BEGIN_AUDIO]", *(f"<SPECIAL_{i}>" for i in range(26, 34)), "[TRANSCRIBE]",
]  # fmt: skip
SPECIAL_TOKENS = 40  # the hub has 1000; the rest has names such as <SPECIAL_35>
PATTERN = r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"  # tekken's, in short
CHUNK = 30 * RATE


def tekken() -> dict[str, Any]:
    """tekken.json: every byte, and the merges of the tests' words."""
    byte_of = {char: byte for byte, char in bytes_to_unicode().items()}
    merges = json.loads(make_tokenizer([]).backend_tokenizer.to_str())["model"]["merges"]
    merged = (bytes(byte_of[char] for char in left + right) for left, right in merges)
    tokens = list(dict.fromkeys([*(bytes([byte]) for byte in range(256)), *merged]))
    return {
        "config": {
            "pattern": PATTERN, "num_vocab_tokens": len(tokens), "default_vocab_size": len(tokens) + SPECIAL_TOKENS,
            "default_num_special_tokens": SPECIAL_TOKENS, "version": "v11",
        },
        "vocab": [
            {"rank": rank, "token_bytes": base64.b64encode(token).decode(), "token_str": token.decode(errors="replace")}
            for rank, token in enumerate(tokens)
        ],
        "special_tokens": [
            {"rank": rank, "token_str": token, "is_control": True} for rank, token in enumerate(SPECIAL)
        ],
        "audio": {
            "sampling_rate": RATE, "frame_rate": 12.5, "chunk_length_s": 30.0,
            "audio_encoding_config": {"num_mel_bins": 128, "hop_length": 160, "window_size": 400},
        },
    }  # fmt: skip


def build(folder: Path) -> None:
    """The hub's layout in ``folder``."""
    folder.mkdir(parents=True)
    words = tekken()
    (folder / "tekken.json").write_text(json.dumps(words))
    config = VoxtralConfig(
        text_config=dict(
            model_type="llama", vocab_size=words["config"]["default_vocab_size"], hidden_size=64, intermediate_size=96,
            num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, head_dim=16,
            max_position_embeddings=16384, tie_word_embeddings=False,
            rope_parameters={"rope_type": "default", "rope_theta": 1e6},
        ),
        audio_config=dict(
            model_type="voxtral_encoder", num_mel_bins=128, hidden_size=32, intermediate_size=128, num_hidden_layers=1,
            num_attention_heads=2, max_source_positions=1500,
        ),
        audio_token_id=SPECIAL.index("[AUDIO]"),
        architectures=["VoxtralForConditionalGeneration"],
    )  # fmt: skip
    torch.manual_seed(5)
    model = VoxtralForConditionalGeneration(config).eval()
    wake(model, model.lm_head.weight, [SPECIAL.index("</s>")])
    with torch.no_grad():  # sharper attention: most of a short clip is silence, which would make all answers alike
        for layer in model.model.language_model.layers:
            layer.self_attn.q_proj.weight *= 4
    save_as_hub(folder, config, model)
    (folder / "consolidated.safetensors").write_bytes(b"the same weights in Mistral's own layout: nobody reads them")
    preprocessor = {
        "feature_extractor_type": "WhisperFeatureExtractor", "feature_size": 128, "hop_length": 160, "n_fft": 400,
        "chunk_length": 30, "n_samples": CHUNK, "nb_max_frames": 3000, "dither": 0.0, "padding_side": "right",
        "padding_value": 0.0, "return_attention_mask": False, "sampling_rate": RATE,
        "processor_class": "VoxtralProcessor",
    }  # fmt: skip
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor, indent=2))
    (folder / "generation_config.json").write_text(
        json.dumps({"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 11})
    )


def inputs(policy: HFPolicy, folder: Path, asked: Question) -> Inputs:
    """What VoxtralProcessor makes; that it is so is checked where mistral-common is installed (test_voxtral.py)."""
    extractor = WhisperFeatureExtractor.from_pretrained(folder)
    chunks = [
        extractor(
            wave, sampling_rate=RATE, padding=True, pad_to_multiple_of=CHUNK, truncation=False, return_tensors="pt"
        )
        .input_features.reshape(128, -1, 3000)
        .transpose(0, 1)
        for wave in waves(asked)
    ]
    written = "".join(f"[BEGIN_AUDIO]{'[AUDIO]' * 375 * len(of_clip)}" for of_clip in chunks)
    ids = policy.tokenizer.encode(f"<s>[INST]{written}{asked.prompt}[/INST]", add_special_tokens=False)
    heard = {"input_features": torch.cat(chunks)} if chunks else {}
    return {"input_ids": torch.tensor([ids]), **heard}


VOXTRAL = Case(
    name="Voxtral",
    hub="mistralai/Voxtral-Mini-3B-2507, Voxtral-Small-24B-2507",
    build=build,
    inputs=inputs,
    reference="extractor, tokenizer and forward (the processor needs mistral-common, which takes no numpy 2.4)",
)
