"""Tiny random checkpoints of the supported classes, saved in the layout that the hub has them in."""

from __future__ import annotations

import io
import json
import math
import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from packaging.version import Version
from safetensors.torch import load_file, save_file
from scipy.io import wavfile
from transformers import (
    GenerationConfig,
    Qwen2_5OmniConfig,
    Qwen2_5OmniTalkerConfig,
    Qwen2_5OmniThinkerConfig,
    Qwen2_5OmniThinkerForConditionalGeneration,
    Qwen2AudioConfig,
    Qwen2AudioForConditionalGeneration,
    Qwen2TokenizerFast,
)

from audio_eval.audio import AudioRef
from audio_eval.models.tiny_omni.architecture import CHAT_TEMPLATE, SPECIAL, train_tokenizer
from audio_eval.prompts import find
from audio_eval.questions import Question

RATE = 16_000
HIDDEN = 64
QWEN2_AUDIO_TEMPLATE = (
    "{% set heard = namespace(n=0) %}{% for message in messages %}{% if loop.first and message['role'] != 'system' %}"
    "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n{% endif %}"
    "<|im_start|>{{ message['role'] }}\n{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] %}{% if part['type'] == 'audio' or 'audio_url' in part %}"
    "{% set heard.n = heard.n + 1 %}Audio {{ heard.n }}: <|audio_bos|><|AUDIO|><|audio_eos|>\n"
    "{% elif 'text' in part %}{{ part['text'] }}{% endif %}{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
# a language model's template, as tokenizer_config.json of a hub repository may hold it: it cannot take audio
TEXT_ONLY_TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
# what stands around the audio placeholder, and between it and the question's text
AUDIO_TURN = {"omni": ("<|audio_bos|>", "<|audio_eos|>"), "qwen2_audio": ("Audio 1: <|audio_bos|>", "<|audio_eos|>\n")}
CLASSES: dict[str, Any] = {
    "omni": Qwen2_5OmniThinkerForConditionalGeneration,
    "qwen2_audio": Qwen2AudioForConditionalGeneration,
}
# older thinkers have their towers beside ``model``, and their class has no place for an adapter's newer names
TOWERS_BESIDE = Version(transformers.__version__) < Version("5.21")


def make_tokenizer() -> Qwen2TokenizerFast:
    """A tokenizer that knows the standard prompt's words."""
    ask = find("r1_aqa").render("Which sound is heard first? How many times does the dog bark?", ["a dog", "a bell"])
    return train_tokenizer([ask, "<answer>a dog</answer>", "user assistant system You are a helpful assistant.", ask])


def _wake(model: torch.nn.Module, eos: int) -> None:
    """Larger weights than the initial ones, so that answers differ between questions and some of them end."""
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() > 1 and "embed_positions" not in name:
                std = 0.3 if "embed_tokens" in name or "lm_head" in name else 1.0 / math.sqrt(parameter[0].numel())
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * std)
            elif name.endswith("bias"):
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.1)
        model.lm_head.weight[eos] *= 2


def _save_common(
    folder: Path,
    tokenizer: Qwen2TokenizerFast,
    template: str,
    preprocessor: Mapping[str, object],
    generation: Mapping[str, object],
) -> None:
    tokenizer.chat_template = None
    tokenizer.save_pretrained(folder)
    (folder / "chat_template.json").write_text(json.dumps({"chat_template": template}, indent=2))
    settings = {
        "feature_extractor_type": "WhisperFeatureExtractor", "feature_size": 128, "hop_length": 160, "n_fft": 400,
        "padding_side": "right", "padding_value": 0.0, "return_attention_mask": True, "sampling_rate": RATE,
        **preprocessor,
    }  # fmt: skip
    (folder / "preprocessor_config.json").write_text(json.dumps(settings, indent=2))
    (folder / "generation_config.json").write_text(json.dumps(generation))


def _save_shards(folder: Path, shards: list[dict[str, torch.Tensor]]) -> None:
    """``model-0000x-of-0000y.safetensors`` with an index, as the hub has a large model."""
    where: dict[str, str] = {}
    for i, shard in enumerate(shards, 1):
        file = f"model-{i:05d}-of-{len(shards):05d}.safetensors"
        save_file({name: tensor.contiguous() for name, tensor in shard.items()}, folder / file, {"format": "pt"})
        where |= dict.fromkeys(shard, file)
    size = sum(tensor.nbytes for shard in shards for tensor in shard.values())
    (folder / "model.safetensors.index.json").write_text(
        json.dumps({"metadata": {"total_size": size}, "weight_map": where}, indent=2)
    )


def _hub_names(model: Any, scratch: Path) -> dict[str, torch.Tensor]:
    """The model's tensors under the names the hub has: ``save_pretrained`` maps them back."""
    model.save_pretrained(scratch)
    saved = load_file(scratch / "model.safetensors")
    # older versions write Qwen2-Audio's with one "model" too many
    return {name.replace("language_model.model.model.", "language_model.model."): t for name, t in saved.items()}


def _text_config(tokenizer: Qwen2TokenizerFast) -> dict[str, Any]:
    return dict(
        vocab_size=len(tokenizer), hidden_size=HIDDEN, intermediate_size=96, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=16384, tie_word_embeddings=False,
        rope_parameters={"rope_type": "default", "rope_theta": 1e6},
    )  # fmt: skip


def _audio_config() -> dict[str, Any]:
    return dict(num_mel_bins=128, d_model=32, encoder_layers=2, encoder_attention_heads=2, encoder_ffn_dim=64)


def _newer(name: str) -> str:
    """A thinker's parameter as transformers names it from 5.21 on, where its parts are below ``model``."""
    if TOWERS_BESIDE and name.startswith(("audio_tower.", "visual.")):
        return f"model.{name}"
    return re.sub(r"^model\.", "model.language_model.", name) if TOWERS_BESIDE else name


def build_omni(folder: Path) -> dict[str, torch.Tensor]:
    """The full Qwen2.5-Omni layout in ``folder``; returns the thinker's weights under transformers' own names, without
    the vision tower's.
    """
    folder.mkdir(parents=True)
    tokenizer = make_tokenizer()
    ids = {token: tokenizer.convert_tokens_to_ids(token) for token in SPECIAL}
    text = _text_config(tokenizer)
    text["rope_parameters"] = text["rope_parameters"] | {"mrope_section": [2, 3, 3]}
    thinker_config = Qwen2_5OmniThinkerConfig(
        text_config=text,
        audio_config=_audio_config() | dict(output_dim=HIDDEN, n_window=100),
        vision_config=dict(
            depth=1, hidden_size=32, intermediate_size=32, num_heads=2, out_hidden_size=HIDDEN,
            fullatt_block_indexes=[0],
        ),
        audio_token_index=ids["<|AUDIO|>"], image_token_index=ids["<|IMAGE|>"], video_token_index=ids["<|VIDEO|>"],
        audio_start_token_id=ids["<|audio_bos|>"], audio_end_token_id=ids["<|audio_eos|>"],
        user_token_id=tokenizer.convert_tokens_to_ids("user"), vision_start_token_id=ids["<|vision_bos|>"],
        vision_end_token_id=ids["<|vision_eos|>"],
    )  # fmt: skip
    talker_config = Qwen2_5OmniTalkerConfig(
        vocab_size=40, embedding_size=HIDDEN, hidden_size=32, intermediate_size=32, num_hidden_layers=1,
        num_attention_heads=2, num_key_value_heads=1, head_dim=16,
        rope_parameters={"rope_type": "default", "rope_theta": 1e6, "mrope_section": [2, 3, 3]},
    )  # fmt: skip
    config = Qwen2_5OmniConfig(
        thinker_config=thinker_config.to_dict(),
        talker_config=talker_config.to_dict(),
        token2wav_config=dict(
            dit_config=dict(hidden_size=32, num_hidden_layers=1, num_attention_heads=2, head_dim=16),
            bigvgan_config=dict(upsample_initial_channel=32),
        ),
        architectures=["Qwen2_5OmniModel"],
    )
    torch.manual_seed(3)
    thinker = Qwen2_5OmniThinkerForConditionalGeneration(thinker_config).eval()
    _wake(thinker, tokenizer.eos_token_id)
    weights = {
        named: tensor.clone()
        for name, tensor in thinker.state_dict().items()
        if ".visual." not in (named := _newer(name))
    }
    config.save_pretrained(folder)
    named = {f"thinker.{name}": t for name, t in _hub_names(thinker, folder.parent / f"{folder.name}-scratch").items()}
    names = sorted(named)
    talker = {
        "talker.model.embed_tokens.weight": torch.randn(40, HIDDEN),
        "talker.model.layers.0.self_attn.q_proj.weight": torch.randn(32, 32),
        "talker.codec_head.weight": torch.randn(40, 32),
    }
    token2wav = {
        "token2wav.code2wav_dit_model.transformer_blocks.0.attn.to_q.weight": torch.randn(32, 32),
        "token2wav.code2wav_bigvgan_model.conv_pre.weight": torch.randn(32, 80, 5),
    }
    half = len(names) // 2
    _save_shards(
        folder,
        [
            {name: named[name] for name in names[:half]},
            # the hub's third shard of 7B mixes the parts too
            {name: named[name] for name in names[half:]} | {"talker.thinker_to_talker_proj.bias": torch.randn(32)},
            talker,
            token2wav,
        ],
    )
    preprocessor = {
        "chunk_length": 300, "n_samples": 300 * RATE, "nb_max_frames": 30000, "dither": 0.0,
        "image_processor_type": "Qwen2VLImageProcessor", "image_mean": [0.48, 0.46, 0.41], "patch_size": 14,
        "image_std": [0.27, 0.26, 0.28], "merge_size": 2, "min_pixels": 3136, "max_pixels": 12845056,
        "temporal_patch_size": 2, "processor_class": "Qwen2_5OmniProcessor",
    }  # fmt: skip
    _save_common(folder, tokenizer, CHAT_TEMPLATE, preprocessor, {"_from_model_config": True})
    (folder / "spk_dict.pt").write_bytes(b"no torch file: nobody may open this")
    return weights


def build_qwen2_audio(folder: Path, **text: Any) -> dict[str, torch.Tensor]:
    """Qwen2-Audio-Instruct's layout in ``folder``; returns the weights under transformers' own names.

    ``text`` changes the language model.
    """
    folder.mkdir(parents=True)
    tokenizer = make_tokenizer()
    config = Qwen2AudioConfig(
        text_config=_text_config(tokenizer) | {"model_type": "qwen2"} | text,
        audio_config=_audio_config() | {"model_type": "qwen2_audio_encoder", "max_source_positions": 1500},
        audio_token_index=tokenizer.convert_tokens_to_ids("<|AUDIO|>"),
    )
    torch.manual_seed(4)
    model = Qwen2AudioForConditionalGeneration(config).eval()
    _wake(model, tokenizer.eos_token_id)
    weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    config.architectures = ["Qwen2AudioForConditionalGeneration"]
    config.save_pretrained(folder)
    named = _hub_names(model, folder.parent / f"{folder.name}-scratch")
    names = sorted(named)
    third = len(names) // 3
    _save_shards(
        folder, [{n: named[n] for n in part} for part in (names[:third], names[third : 2 * third], names[2 * third :])]
    )
    preprocessor = {
        "chunk_length": 30, "n_samples": 30 * RATE, "nb_max_frames": 3000, "processor_class": "Qwen2AudioProcessor",
    }  # fmt: skip
    ends = [tokenizer.pad_token_id, tokenizer.eos_token_id]  # <|endoftext|> and <|im_end|>, as the hub's
    generation = GenerationConfig(do_sample=True, top_k=20, top_p=0.5, temperature=0.7, eos_token_id=ends)
    _save_common(folder, tokenizer, QWEN2_AUDIO_TEMPLATE, preprocessor, generation.to_diff_dict())
    return weights


BUILDERS = {"omni": build_omni, "qwen2_audio": build_qwen2_audio}


def wave(seconds: float, seed: int = 0) -> np.ndarray:
    """A chirp in noise, float32 (samples,), loud enough that no two seeds look alike."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(seconds * RATE)) / RATE
    tone = np.sin(2 * np.pi * (150 + 97 * (seed % 23) + 60 * t) * t)
    return (0.4 * tone + 0.1 * rng.standard_normal(len(t))).astype(np.float32)


def as_wav(samples: np.ndarray) -> AudioRef:
    """A float WAV that decodes to the same samples; its bytes hold no time of writing, as soundfile's do."""
    buffer = io.BytesIO()
    wavfile.write(buffer, RATE, samples)
    return AudioRef(data=buffer.getvalue())


def clip(seconds: float, seed: int = 0) -> AudioRef:
    """The wave as a recording."""
    return as_wav(wave(seconds, seed))


WORDS = ["sound", "dog", "bell", "first", "last", "loud", "soft", "bark", "high", "low", "music", "voice"]


def question(i: int, seconds: float | None = None, text: str | None = None) -> Question:
    """Question ``i``: its own wording and, where ``seconds`` is given, its own clip."""
    rng = np.random.default_rng(i)
    chosen = [str(word) for word in rng.choice(WORDS, 3 + i % 5)]
    asked = text if text is not None else f"Which {' '.join(chosen)} is heard?"
    choices = (chosen[0], chosen[1])
    audio = None if seconds is None else clip(seconds, i)
    prompt = find("r1_aqa").render(asked, choices) if text is None else text
    return Question(f"q{i}", audio, asked, choices, prompt)


def prompt_text(kind: str, asked: Question, placeholders: int) -> str:
    """The whole prompt written out by hand, with the audio placeholder repeated."""
    before, after = AUDIO_TURN[kind]
    heard = before + "<|AUDIO|>" * placeholders + after if asked.audio is not None else ""
    return (
        "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
        f"<|im_start|>user\n{heard}{asked.prompt}<|im_end|>\n<|im_start|>assistant\n"
    )


@lru_cache(16)
def features(extractor: str, audio: AudioRef) -> Mapping[str, torch.Tensor]:
    """What transformers' extractor of these settings makes of a recording, padded to the window.

    Kept, as a window takes longer than the tiny model; nothing changes it in place.
    """
    return transformers.WhisperFeatureExtractor(**json.loads(extractor))(
        audio.load(RATE), sampling_rate=RATE, padding="max_length", return_attention_mask=True, return_tensors="pt"
    )


def model_inputs(kind: str, tokenizer: Any, extractor: Any, asked: Question) -> dict[str, torch.Tensor]:
    """What the model's own processor hands to its forward: placeholders expanded, features padded to the window."""
    inputs: dict[str, torch.Tensor] = {}
    placeholders = 0
    if asked.audio is not None:
        heard = features(extractor.to_json_string(), asked.audio)
        inputs["input_features"], inputs["feature_attention_mask"] = heard["input_features"], heard["attention_mask"]
        frames = int(heard["attention_mask"].sum())
        placeholders = ((frames - 1) // 2 + 1 - 2) // 2 + 1
    ids = tokenizer.encode(prompt_text(kind, asked, placeholders), add_special_tokens=False)
    inputs["input_ids"] = torch.tensor([ids])
    inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
    return inputs
