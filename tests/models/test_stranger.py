"""A stranger's checkpoint or adapter: nothing of it is unpickled or imported, nobody is asked, no template hangs."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from audio_eval.audio import AudioRef
from audio_eval.errors import UserError
from audio_eval.models.backends import load_policy
from audio_eval.models.catalog import TINY_OMNI
from audio_eval.models.policy import Sampling
from audio_eval.questions import Question
from tests.formats.recordings import whole
from tests.models.conftest import Built
from tests.models.test_adapter import LORA, _edit, loaded, trained

Change = Callable[[Path], object]


class Evil:
    """What runs a command when it is unpickled."""

    def __init__(self, flag: Path) -> None:
        self.flag = flag

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.flag),)


def _set(name: str, **changed: Any) -> Change:
    def change(folder: Path) -> None:
        told = json.loads((folder / name).read_text())
        (folder / name).write_text(json.dumps({**told, **changed}))

    return change


def _pickled(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    save_file({"decoy": torch.zeros(1)}, folder / "decoy.safetensors")


def _index(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    weights = {"weight_map": {"x": "pytorch_model.bin"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(weights))
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps(weights))
    save_file({"decoy": torch.zeros(1)}, folder / "decoy.safetensors")


def _elsewhere(folder: Path) -> None:
    """Whole weights, which would load, in a file that is not the checkpoint's."""
    (folder / "model.safetensors").rename(folder.parent / "mine.safetensors")
    with safe_open(folder.parent / "mine.safetensors", framework="np") as opened:
        weights = {"metadata": {}, "weight_map": dict.fromkeys(opened.keys(), "../mine.safetensors")}
    (folder / "model.safetensors.index.json").write_text(json.dumps(weights))
    save_file({"decoy": torch.zeros(1)}, folder / "decoy.safetensors")


REMOTE = {name: f"evil.{name}" for name in ("AutoConfig", "AutoModel", "AutoTokenizer", "AutoProcessor")}


@pytest.mark.parametrize(
    ("change", "loads"),
    [
        (_pickled, False),
        (_index, False),
        (_set("config.json", auto_map=REMOTE), True),
        (_set("config.json", auto_map=REMOTE, model_type="evil"), False),
        (_set("tokenizer_config.json", auto_map=REMOTE, tokenizer_class="Evil"), None),
        (_set("config.json", attn_implementation="evil/kernel:fn"), False),
        (_set("config.json", thinker_config={"_attn_implementation": {"text_config": "evil/kernel"}}), False),
        (_set("config.json", configuration_files=["../config.4.1.json"]), False),
        (_set("tokenizer_config.json", fast_tokenizer_files=["../tokenizer.4.1.json"]), False),
        (_set("tokenizer_config.json", vocab_file="/etc/passwd"), False),
        (_elsewhere, False),
        (_set("preprocessor_config.json", auto_map={"AutoFeatureExtractor": "evil.E"}), None),
    ],
    ids=[
        "pickle", "index of pickles", "code", "code of a new type", "code of a tokenizer", "kernel", "kernel of a part",
        "configuration elsewhere", "tokenizer elsewhere", "vocabulary elsewhere", "weights elsewhere",
        "code of an extractor",
    ],
)  # fmt: skip
def test_no_code_of_a_checkpoint_runs(
    change: Change, loads: bool | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``loads``: None where both is well, as long as nothing runs."""
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("torch.load"))
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("the user is asked"))
    folder, flag = Path(shutil.copytree(TINY_OMNI.source, tmp_path / "omni")), tmp_path / "flag"
    (folder / "evil.py").write_text(f"import os\nos.mkdir({str(flag)!r})\n")
    for name in ("pytorch_model.bin", "adapter_model.bin", "training_args.bin", "spk_dict.pt"):
        (folder / name).write_bytes(pickle.dumps(Evil(flag)))
    change(folder)
    said = ""
    try:
        load_policy(str(folder))
    except UserError as error:
        said = str(error)
    assert loads is None or loads == (not said), said
    assert "\n" not in said
    assert not flag.exists()


@pytest.mark.parametrize(
    "template",
    [
        "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}<|AUDIO|>",
        "<|AUDIO|>{{ 'a' * 10 ** 10 }}", "<|AUDIO|>{{ messages | tojson(indent=10 ** 9) }}",
    ],
)  # fmt: skip
def test_a_chat_template_is_bounded(template: str, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(TINY_OMNI.source, tmp_path / "omni"))
    (folder / "chat_template.jinja").write_text(template)
    question = Question("1", AudioRef(data=whole("WAV PCM_16")), "What?", ("a", "b"), "What?", {})
    policy, began = load_policy(str(folder)), time.process_time()
    with pytest.raises(UserError, match=r"the chat template of '.*' is refused: it"):
        policy.generate([question], Sampling())
    assert time.process_time() - began < 5


def test_an_adapter_imports_nothing(omni: Built, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained(omni, tmp_path / "mine")
    named = {"megatron_config": {"x": 1}, "megatron_core": "evil", "auto_mapping": {"parent_library": "evil"}}
    _edit(lambda config, tensors: config.update(named), tmp_path / "mine")
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "evil.py").write_text("raise SystemExit('it was imported')")
    assert (tmp_path / "mine" / LORA).is_file()
    assert loaded(omni, tmp_path / "mine").info.name
