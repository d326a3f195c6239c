"""Phi-4-multimodal in the layout of the hub's refs/pr/70, with the adapter that it hears through."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers import AddedToken
from transformers import Phi4MultimodalConfig, Phi4MultimodalFeatureExtractor, Phi4MultimodalForCausalLM

from audio_eval.audio import RATE
from audio_eval.models.hf.policy import HFPolicy
from audio_eval.questions import Question
from tests.models.families.case import FIRST, Case, Inputs, make_tokenizer, save_as_hub, wake, waves

SPECIAL = [  # the hub's tokenizer, too, drops spaces after the last four
    *(AddedToken(f"<|{name}|>", special=True) for name in ("endoftext", "image", "audio", "endofprompt")),
    *(AddedToken(f"<|{name}|>", special=True, rstrip=True) for name in ("assistant", "end", "user", "system")),
]
RANK = 4
SHORT_CONTEXT = 512  # 4096 on the hub: a longer sequence has other rotary embeddings


def build(folder: Path) -> None:
    """The hub's layout in ``folder``."""
    folder.mkdir(parents=True)
    tokenizer = make_tokenizer(SPECIAL, eos_token="<|endoftext|>", pad_token="<|endoftext|>")
    ids = {str(token): tokenizer.convert_tokens_to_ids(str(token)) for token in SPECIAL}
    config = Phi4MultimodalConfig(
        vocab_size=len(tokenizer), hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=8192, original_max_position_embeddings=SHORT_CONTEXT,
        tie_word_embeddings=True, sliding_window=16384,
        rope_parameters={
            "rope_type": "longrope", "rope_theta": 1e4, "partial_rotary_factor": 0.75,
            "original_max_position_embeddings": SHORT_CONTEXT,
            "short_factor": [1.0] * 6, "long_factor": [1.0, 1.2, 2.0, 4.0, 8.0, 16.0],
        },
        bos_token_id=ids["<|endoftext|>"], eos_token_id=[ids["<|endoftext|>"], ids["<|end|>"]],
        pad_token_id=ids["<|endoftext|>"],
        audio_config=dict(
            hidden_size=32, intermediate_size=48, num_blocks=2, num_attention_heads=2, ext_pw_out_channel=32,
            depthwise_separable_out_channel=32, nemo_conv_channels=8, bias_max_distance=100,
            audio_token_id=ids["<|audio|>"],
        ),
        vision_config=dict(  # the class builds one; nothing here ever sees an image
            hidden_size=16, intermediate_size=16, num_hidden_layers=2, num_attention_heads=2, image_size=56,
            crop_size=56, image_token_id=ids["<|image|>"],
        ),
        architectures=["Phi4MultimodalForCausalLM"],
    )  # fmt: skip
    torch.manual_seed(6)
    model = Phi4MultimodalForCausalLM(config).eval()
    wake(model, model.lm_head.weight, [ids["<|end|>"]])
    save_as_hub(folder, config, model)
    _save_lora(folder / "speech-lora", model)
    (folder / "vision-lora").mkdir()
    (folder / "vision-lora" / "adapter_model.safetensors").write_bytes(b"for images: nobody reads it")
    tokenizer.save_pretrained(folder)
    preprocessor = {
        "feature_extractor_type": "Phi4MultimodalFeatureExtractor", "feature_size": 80, "sampling_rate": RATE,
        "hop_length": 160, "n_fft": 512, "win_length": 400, "preemphasis": 0.97, "padding_value": 0.0,
        "audio_compression_rate": 8, "audio_downsample_rate": 1, "audio_feat_stride": 1, "mel_min_frequency": 0,
        "mel_max_frequency": 7690, "image_processor_type": "Phi4MultimodalImageProcessorFast", "dynamic_hd": 36,
        "processor_class": "Phi4MultimodalProcessor",
    }  # fmt: skip
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor, indent=2))
    ends = [ids["<|end|>"], ids["<|endoftext|>"]]
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": ends, "pad_token_id": ends[1]}))


def _save_lora(folder: Path, model: Phi4MultimodalForCausalLM) -> None:
    """Every linear layer of the decoder; their short names are those of the conformer's layers as well."""
    folder.mkdir()
    generator = torch.Generator().manual_seed(8)
    tensors = {}
    for name, module in model.model.layers.named_modules():
        if isinstance(module, torch.nn.Linear):
            rows, columns = module.weight.shape
            for part, shape in (("A", (RANK, columns)), ("B", (rows, RANK))):
                key = f"base_model.model.model.layers.{name}.lora_{part}.weight"
                tensors[key] = torch.randn(shape, generator=generator) * 0.1
    save_file(tensors, folder / "adapter_model.safetensors", {"format": "pt"})
    settings = {
        "base_model_name_or_path": "TBA", "bias": "none", "fan_in_fan_out": False, "inference_mode": True,
        "init_lora_weights": True, "lora_alpha": 2 * RANK, "lora_dropout": 0.01, "modules_to_save": [],
        "peft_type": "LORA", "r": RANK, "task_type": "CAUSAL_LM",
        "target_modules": ["qkv_proj", "o_proj", "gate_up_proj", "down_proj"],
    }  # fmt: skip
    (folder / "adapter_config.json").write_text(json.dumps(settings))


def inputs(policy: HFPolicy, folder: Path, asked: Question) -> Inputs:
    """What Phi4MultimodalProcessor makes of questions with one recording, or several of one length."""
    heard, counts = {}, []
    if asked.audios:
        heard = dict(
            Phi4MultimodalFeatureExtractor.from_pretrained(folder)(
                waves(asked), sampling_rate=RATE, return_tensors="pt"
            )
        )
        counts = heard["audio_embed_sizes"].tolist()
    written = "".join("<|audio|>" * n for n in counts)
    ids = policy.tokenizer.encode(f"<|user|>{written}{asked.prompt}<|end|><|assistant|>", add_special_tokens=False)
    return {"input_ids": torch.tensor([ids]), **heard}


PHI4_MULTIMODAL = Case(
    name="Phi-4-multimodal",
    hub="microsoft/Phi-4-multimodal-instruct@refs/pr/70",
    build=build,
    inputs=inputs,
    second_clip=FIRST,
    reference="extractor, tokenizer and forward (the processor needs torchvision)",
)
