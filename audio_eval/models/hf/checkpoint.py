"""Load a checkpoint folder or hub repository: model, tokenizer, feature extractor; no torchvision, no pickle."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HTTPError
from safetensors import SafetensorError
from transformers import AutoConfig

from audio_eval.errors import UserError
from audio_eval.models.hf.chat_templates import bound_chat_template
from audio_eval.models.hf.families import Family, family_of
from audio_eval.models.hf.files import (
    ADAPTER_CONFIG,
    LORA,
    PATTERNS,
    TWICE,
    check_files,
    digests,
    fingerprint,
    model_type,
    read_settings,
    revision_of,
)

_SAID = (OSError, ValueError, SafetensorError)  # whose messages say what is wrong by themselves
_PROMPTS = 1024  # whose ids are kept, some KiB each; a question is asked several times within a batch or a step


@dataclass
class Checkpoint:
    """A loaded checkpoint. Its parts are looked up through the family, which alone knows where they are.

    ``placeholder`` is the id of the token that stands for a clip. ``weights`` is a fingerprint of the weights alone,
    the same for a hub snapshot and a copy of it.
    """

    family: Family
    model: Any
    tokenizer: Any
    extractor: Any
    placeholder: int
    revision: str
    weights: str
    _ids: dict[tuple[str, int], list[int]] = field(default_factory=dict, init=False, repr=False)

    def ids(self, prompt: str, clips: int) -> list[int]:
        """``Family.token_ids`` of a prompt with so many clips, kept, as a question is asked several times in a run."""
        if (prompt, clips) not in self._ids:
            if len(self._ids) >= _PROMPTS:
                self._ids.clear()
            self._ids[prompt, clips] = self.family.token_ids(self.tokenizer, prompt, clips)
        return self._ids[prompt, clips]

    @property
    def language_model(self) -> Any:
        """The decoder without its head."""
        return self.family.language_model(self.model)

    @property
    def head(self) -> Any:
        """From hidden states to logits; it has the linear layer's ``weight``."""
        return self.family.head(self.model)

    @property
    def embed(self) -> Any:
        """The embedding of token ids."""
        return self.family.embeddings(self.model)

    @property
    def device(self) -> torch.device:
        """Where the head is, and with it the whole model."""
        return self.head.weight.device


def fetch(source: str, revision: str | None = None) -> Path:
    """The folder of a checkpoint: ``source`` itself, or a hub snapshot of the files that are read."""
    folder = Path(source).expanduser()
    if folder.is_dir():
        return folder
    try:
        return Path(snapshot_download(source, revision=revision, allow_patterns=PATTERNS, ignore_patterns=TWICE))
    except (OSError, ValueError, HTTPError) as error:  # a failing proxy is the HTTP client's own error
        which = f"'{source}' at revision '{revision}'" if revision else f"'{source}'"
        raise UserError(
            f"cannot fetch {which} from the hub ({type(error).__name__}). Without a network, copy the repository's "
            "folder here and pass it: --model path/to/folder."
        ) from error


def load_checkpoint(source: str, device: torch.device, dtype: torch.dtype, revision: str | None = None) -> Checkpoint:
    """Load ``source`` onto ``device``. Of a joint checkpoint only the family's part is read."""
    folder = fetch(source, revision)
    check_files(source, folder)
    try:
        return _load(source, folder, device, dtype)
    except (UserError, torch.OutOfMemoryError):
        raise
    except Exception as error:  # transformers and tokenizers raise errors of every class for a damaged file
        reason = " ".join(str(error).split()) if isinstance(error, _SAID) else f"({type(error).__name__}: {error})"
        raise UserError(f"'{source}' cannot be loaded; copy the checkpoint anew. {reason:.500}") from error


def without_weights(source: str, folder: Path) -> Checkpoint:
    """What makes prompts of questions, for an engine that loads the weights itself: of the model only its ``config``.

    ``UserError`` for a type that has no family of its own, as that is treated by what its weights say.
    """
    check_files(source, folder)
    family = family_of(model_type(folder), f"'{source}'")
    config = family.config(AutoConfig.from_pretrained(folder, trust_remote_code=False))
    return _processing(source, folder, family, SimpleNamespace(config=config))


def _load(source: str, folder: Path, device: torch.device, dtype: torch.dtype) -> Checkpoint:
    family = family_of(model_type(folder), f"'{source}'", folder)
    beside = next((name for name in (ADAPTER_CONFIG, LORA) if (folder / name).is_file()), None)
    if beside and not family.owns_adapter:
        raise UserError(
            f"'{source}' holds an adapter ({beside}) beside the model, and {family.name} has none of its own."
        )
    config = family.config(AutoConfig.from_pretrained(folder, trust_remote_code=False))
    model, missing = family.load(folder, config, dtype)
    if missing:
        raise UserError(f"'{source}' lacks {len(missing)} weights, {missing[0]} first: the checkpoint is incomplete.")
    model.to(device).eval().requires_grad_(False)
    checkpoint = _processing(source, folder, family, model)
    family.check(model, checkpoint.tokenizer)
    return checkpoint


def _processing(source: str, folder: Path, family: Family, model: Any) -> Checkpoint:
    """The checkpoint, with tokenizer, chat template and feature extractor read from ``folder``."""
    tokenizer = family.tokenizer(folder)
    tokenizer.chat_template = chat_template(folder, tokenizer.chat_template, family)
    if tokenizer.chat_template is None:
        raise UserError(
            f"'{source}' has no chat template that takes audio: chat_template.json or chat_template.jinja is missing."
        )
    bound_chat_template(tokenizer, source)
    # where the tokenizer's files are missing, transformers silently makes an empty one
    placeholder = family.placeholder(model.config)
    if tokenizer.convert_tokens_to_ids(family.audio_token) != placeholder:
        raise UserError(f"'{source}': the tokenizer does not know {family.audio_token}; is tokenizer.json missing?")
    weights = fingerprint(digests(folder), ".safetensors")
    return Checkpoint(family, model, tokenizer, family.extractor(folder), placeholder, revision_of(folder), weights)


def chat_template(folder: Path, own: str | None, family: Family) -> str | None:
    """The first of these templates that takes audio: the processor's, the tokenizer's ``own``, the family's.

    AutoTokenizer reads chat_template.jinja but not the hub's chat_template.json, and tokenizer_config.json may hold the
    language model's template, which drops audio.
    """
    legacy = folder / "chat_template.json"
    processor = read_settings(legacy).get("chat_template") if legacy.is_file() else None
    candidates = (processor, own, family.chat_template)
    return next((t for t in candidates if isinstance(t, str) and family.takes_audio(t)), None)
