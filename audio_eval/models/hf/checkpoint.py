"""Load a checkpoint folder or hub repository: model, tokenizer, feature extractor; no torchvision, no pickle."""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import snapshot_download
from transformers import AutoConfig, AutoTokenizer, WhisperFeatureExtractor

from audio_eval.errors import UserError
from audio_eval.models.hf.families import Family, family_of

_ENDS = 16 << 20  # bytes of a weight file's head and tail that its fingerprint reads
FILES = ["*.json", "*.safetensors", "*.jinja", "*.txt", "*.model"]  # never *.pt, *.bin


@dataclass
class Checkpoint:
    """Everything the policy needs of a checkpoint."""

    family: Family
    model: Any
    tokenizer: Any
    extractor: WhisperFeatureExtractor
    revision: str


def locate(source: str, revision: str | None = None) -> Path:
    """The folder of a checkpoint: itself if it is one, else a hub snapshot of the files that are read."""
    folder = Path(source).expanduser()
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise UserError(f"'{source}' is a folder without config.json: give the folder of a checkpoint.")
        return folder
    try:
        return Path(snapshot_download(source, revision=revision, allow_patterns=FILES))
    except (OSError, ValueError) as error:
        raise UserError(
            f"cannot fetch '{source}' from the hub ({type(error).__name__}). Without a network, copy the repository's "
            "folder here and pass it: --model path/to/folder."
        ) from error


def load_checkpoint(source: str, device: torch.device, dtype: torch.dtype, revision: str | None = None) -> Checkpoint:
    """Load ``source`` onto ``device``; only the family's part of a joint checkpoint is read."""
    folder = locate(source, revision)
    raw = json.loads((folder / "config.json").read_text())
    family = family_of(raw.get("model_type", "?"), f"'{source}'")
    config = family.config(AutoConfig.from_pretrained(folder))
    model, report = family.model_class().from_pretrained(folder, config=config, dtype=dtype, output_loading_info=True)
    missing = sorted(report["missing_keys"])
    if missing:
        raise UserError(f"'{source}' lacks {len(missing)} weights, {missing[0]} first: the checkpoint is incomplete.")
    model.to(device).eval().requires_grad_(False)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    if tokenizer.chat_template is None:
        raise UserError(f"'{source}' has no chat template: chat_template.json or chat_template.jinja is missing.")
    extractor = WhisperFeatureExtractor.from_pretrained(folder)
    return Checkpoint(family, model, tokenizer, extractor, revision_of(folder))


def revision_of(folder: Path) -> str:
    """The hub's commit for a snapshot; else a fingerprint: config, and size, head and tail of each weight file."""
    if folder.parent.name == "snapshots":
        return folder.name
    digest = sha256((folder / "config.json").read_bytes())
    for file in sorted(folder.glob("*.safetensors")):
        digest.update(f"{file.name}:{file.stat().st_size}".encode())
        with file.open("rb") as stream:
            digest.update(stream.read(_ENDS))
            stream.seek(max(_ENDS, file.stat().st_size - _ENDS))
            digest.update(stream.read(_ENDS))
    return "local-" + digest.hexdigest()[:16]
