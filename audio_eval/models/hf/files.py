"""The files of a checkpoint that decide what it says: which they are, what they hold, and which may not be there."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

from audio_eval.cache import kept_digest
from audio_eval.errors import UserError
from audio_eval.json_text import BadJson, parse
from audio_eval.regular import read_regular

# Fetched from the hub; never *.pt, *.bin: these are pickles, which can run code.
PATTERNS = ["*.json", "*.safetensors", "*.jinja", "*.txt", "*.model"]
TWICE = "consolidated*"  # the weights once more, in Mistral's own layout
LORA = "adapter_model.safetensors"  # peft's own name, beside ADAPTER_CONFIG
FULL = "adapter_full.safetensors"  # fully tuned weights, under the model's own names
ADAPTER_CONFIG = "adapter_config.json"
TRAINED_FROM = "trained_from"  # metadata of an adapter: the fingerprint of the weights that it belongs to
_READ = (
    "*.safetensors", "config.json", "generation_config.json", "preprocessor_config.json", "processor_config.json",
    "chat_template.*", "tokenizer*.json", "special_tokens_map.json", "added_tokens.json", "vocab.json", "merges.txt",
    "*.model", "tekken.json", ADAPTER_CONFIG, f"*-lora/{ADAPTER_CONFIG}", f"*-lora/{LORA}",
)  # fmt: skip
# Of an adapter's settings: names of modules that peft would import, and of a model that it would look for.
NAMES_NO_CODE = {"auto_mapping": None, "megatron_config": None, "base_model_name_or_path": None}
# Of its settings: those by which transformers opens further files, and those that may name code on the hub.
_NAME_FILES = ("configuration_files", "fast_tokenizer_files", "transformers_weights", "vocab_file", "merges_file")
_NAME_KERNELS = ("attn_implementation", "experts_implementation")
_SETTINGS = ("config.json", "generation_config.json", "tokenizer_config.json", "*.index.json")
_DIGITS = 16  # hex digits of a fingerprint


def check_files(source: str, folder: Path) -> None:
    """``UserError`` for a folder that is no checkpoint, that has no safetensors, or that holds an adapter as well.

    transformers would attach the adapter unasked, and training would then replace it. An adapter that belongs to the
    model stands in its configuration.
    """
    adapters = [name for name in (ADAPTER_CONFIG, LORA, FULL) if (folder / name).is_file()]
    if not (folder / "config.json").is_file():
        hint = f"it holds an adapter: --model BASE --adapter '{source}'" if adapters else "give that of a checkpoint"
        raise UserError(f"'{source}' is a folder without config.json: {hint}.")
    if adapters and not _owns(folder, adapters):
        raise UserError(
            f"'{source}' holds an adapter ({adapters[0]}) beside the model, and which of them is meant is not clear: "
            "move the adapter into a folder of its own; --adapter FOLDER then evaluates the model with it."
        )
    if not any(folder.glob("*.safetensors")):
        pickles = sorted(path.name for pattern in ("*.bin", "*.pt", "*.pth") for path in folder.glob(pattern))
        what = f"{pickles[0]} is a pickle, which can run code and is never read" if pickles else "there are no weights"
        raise UserError(
            f"'{source}' has no *.safetensors ({what}): save the model again with transformers' save_pretrained, "
            "which writes safetensors."
        )
    for path in (path for pattern in _SETTINGS for path in folder.glob(pattern)):
        with suppress(OSError, ValueError, RecursionError):  # loading tells what is wrong with it
            _check_named(path, json.loads(read_regular(path)))


def _check_named(path: Path, settings: Any) -> None:
    """``UserError`` for settings that name files elsewhere than beside them, or code of others on the hub."""
    for key, value in settings.items() if isinstance(settings, dict) else ():
        inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else [value]
        texts = [text for text in inner if isinstance(text, str)]
        if key in _NAME_FILES or key == "weight_map":
            if out := next((text for text in texts if not text.isprintable() or Path(text).name != text), None):
                raise UserError(f"'{path}': {key} names a file elsewhere, '{out:.100}': take it out, or copy it there.")
        elif key.endswith(_NAME_KERNELS):
            if code := next((text for text in texts if "/" in text), None):
                raise UserError(f"'{path}': {key} names code on the hub, '{code:.100}', which is not run: take it out.")
        else:
            _check_named(path, value)


def _owns(folder: Path, adapters: Sequence[str]) -> bool:
    """Whether the configuration announces a LoRA adapter beside the weights, as Granite Speech's does."""
    try:
        config = read_settings(folder / "config.json")
    except UserError:
        return False  # loading will report what is wrong
    return FULL not in adapters and config.get("has_lora_adapter") is True


def read_settings(path: Path) -> dict[str, Any]:
    """What a JSON file of a checkpoint or an adapter maps names to. ``UserError`` where that cannot be read."""
    try:
        found = parse(read_regular(path))
    except (OSError, BadJson) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UserError(f"'{path}' cannot be read ({reason}): copy it anew.") from None
    if not isinstance(found, dict):
        raise UserError(f"'{path}' cannot be read (it does not map names to values): copy it anew.")
    return found


def model_type(folder: Path) -> str:
    """What config.json says that the checkpoint is; "?" where it does not."""
    told = read_settings(folder / "config.json").get("model_type")
    return told if isinstance(told, str) else "?"


def digests(folder: Path) -> dict[str, str]:
    """The sha256 of each file of a checkpoint that decides what the model says, by name."""
    found = {path for pattern in _READ for path in folder.glob(pattern) if path.is_file() and not path.match(TWICE)}
    names = {path.relative_to(folder).as_posix() for path in found}
    return {name: kept_digest(folder / name) for name in sorted(names)}


def fingerprint(files: Mapping[str, str], suffix: str = "") -> str:
    """16 hex digits for the contents of files given by name and sha256; only of those whose name ends in ``suffix``."""
    told = sorted((name, digest) for name, digest in files.items() if name.endswith(suffix))
    return sha256(json.dumps(told).encode()).hexdigest()[:_DIGITS]


def revision_of(folder: Path) -> str:
    """The hub's commit for a snapshot; else "local-" and a fingerprint of all that the checkpoint's files hold."""
    return folder.name if folder.parent.name == "snapshots" else f"local-{fingerprint(digests(folder))}"


def adapter_folder(adapter: str) -> Path:
    """The folder that holds an adapter's files: ``adapter`` itself, or the last checkpoint of a run directory."""
    given = Path(adapter).expanduser()
    steps = [*given.glob("step-*"), *given.glob("adapt/step-*")]
    for folder in (given, *sorted(steps, key=lambda path: path.name, reverse=True)):
        if folder.suffix != ".tmp" and ((folder / LORA).is_file() or (folder / FULL).is_file()):
            return folder
    pickled = f" ({pickles[0].name} is a pickle, which is never read)" if (pickles := [*given.glob("*.bin")]) else ""
    raise UserError(
        f"--adapter: '{adapter}' holds neither {LORA} nor {FULL}{pickled}: give an adapter's folder, or the directory "
        "of a run that trained."
    )


def adapter_name(adapter: str) -> str:
    """How tables call it: by the folder that was given, or by the run that a checkpoint belongs to."""
    folder = Path(adapter).expanduser().resolve()
    if folder.name.startswith("step-"):
        folder = folder.parent
    return folder.parent.name if folder.name == "adapt" else folder.name


def adapter_digests(adapter: str) -> dict[str, str]:
    """The sha256 of the adapter's files, by name."""
    folder = adapter_folder(adapter)
    return {name: kept_digest(folder / name) for name in (LORA, ADAPTER_CONFIG, FULL) if (folder / name).is_file()}
