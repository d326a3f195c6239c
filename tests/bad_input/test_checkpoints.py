"""Checkpoints with a damaged file: one line that names the checkpoint, and nothing that is loaded in part."""

from __future__ import annotations

import json
import shutil
import struct
from pathlib import Path

import pytest
import torch

from audio_eval.models.catalog import find_model
from audio_eval.models.hf.checkpoint import load_checkpoint, without_weights
from tests.bad_input import texts
from tests.bad_input.limits import outcome

TINY = Path(find_model("tiny-omni").source)
# A header of safetensors that says more than the file holds, and tensors that overlap.
_HUGE = {"x": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}}
_SHORT = {"x": {"dtype": "F32", "shape": [4], "data_offsets": [0, 8]}}


def tensors(header: object) -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes(16)


DOCUMENTS = ("empty", "null", "list", "object", "utf16", "latin1", "deep-100000", "5000-digits", "cut")
CASES: dict[str, dict[str, bytes]] = {
    "config.json": {name: texts.DOCUMENTS[name] for name in DOCUMENTS},
    "tokenizer.json": {name: texts.DOCUMENTS[name] for name in ("empty", "null", "object", "cut", "random")},
    "tokenizer_config.json": {name: texts.DOCUMENTS[name] for name in ("empty", "list", "utf16")},
    "preprocessor_config.json": {name: texts.DOCUMENTS[name] for name in ("empty", "list", "random")},
    "chat_template.jinja": {"latin1": texts.DOCUMENTS["latin1"], "empty": b"", "broken": b"{% for %}"},
    "chat_template.json": {"empty": b"", "list": b"[]", "object": b"{}"},
    "model.safetensors": {
        "empty": b"",
        "zeros": bytes(1_000),
        "length": b"\xff" * 16,
        "cut": (TINY / "model.safetensors").read_bytes()[:100_000],
        "huge": tensors(_HUGE),
        "short": tensors(_SHORT),
        "no-tensors": tensors({}),
        "no-json": struct.pack("<Q", 4) + b"abcd",
    },
}
TAKEN = {("chat_template.json", "object"), ("chat_template.json", "list")}  # beside one that takes audio


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(shutil.copytree(TINY, tmp_path_factory.mktemp("checkpoint") / "bad"))


@pytest.mark.parametrize("name", CASES)
def test_a_damaged_file_of_a_checkpoint_is_one_line(name: str, folder: Path) -> None:
    whole = (folder / name).read_bytes() if (folder / name).is_file() else None
    for damage, content in CASES[name].items():
        (folder / name).write_bytes(content)
        said = outcome(lambda: load_checkpoint(str(folder), torch.device("cpu"), torch.float32))
        assert (isinstance(said, str) and str(folder) in said) or (name, damage) in TAKEN, (damage, said)
    (folder / name).unlink()
    if whole is not None:
        (folder / name).write_bytes(whole)


@pytest.mark.parametrize("damage", DOCUMENTS)
def test_vllm_reads_the_same_settings(damage: str, folder: Path) -> None:
    """Without loading weights, as it does before its engine is started."""
    whole = (folder / "config.json").read_bytes()
    (folder / "config.json").write_bytes(texts.DOCUMENTS[damage])
    try:
        said = outcome(lambda: without_weights(str(folder), folder))
    finally:
        (folder / "config.json").write_bytes(whole)
    assert isinstance(said, str) and str(folder) in said and "\n" not in said
