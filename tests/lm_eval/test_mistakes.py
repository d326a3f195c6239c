"""A user's mistake is one line, also where lm-eval finds it."""

from __future__ import annotations

import re
from typing import Any

import pytest
from lm_eval.api.registry import get_model

from audio_eval.lm_eval.__main__ import main
from audio_eval.lm_eval.models import register
from audio_eval.models.backends import Limits
from audio_eval.models.hf.backend import HF

register()

RUN = ["run", "--model", "audio-hf", "--tasks", "synth_aqa", "--limit", "2"]
MISTAKES = {
    "model": (["run", "--model", "audio-hff", "--tasks", "synth_aqa"], r"'audio-hff'\. Did you mean 'audio-hf'\?"),
    "task": (["run", "--model", "audio-hf", "--tasks", "synth_aq"], r"Tasks not found: synth_aq"),
    "no task": (["run", "--model", "audio-hf"], r"No tasks specified"),
    "file": (["run", "--config", "nowhere.yaml"], r"Config file not found: .*nowhere\.yaml"),
    "samples without a folder": ([*RUN, "--log_samples"], r"Specify --output_path"),
    "setting": ([*RUN, "--model_args", "dtyp=x"], r"unknown setting 'dtyp' of backend 'hf'\. Did you mean 'dtype'\?"),
    "model's name": ([*RUN, "--model_args", "pretrained=tiny-omi"], r"unknown model 'tiny-omi'\. Did you mean"),
    "deterministic": ([*RUN, "--model_args", "deterministic=maybe"], r"deterministic=maybe: give true or false"),
    "batch size": ([*RUN, "--batch_size", "many"], r"--batch_size many: give a number"),
    "password": ([*RUN, "--model_args", "base_url=http://u:pass@h/v1"], r"no user, password or query"),
    "no data": (
        ["run", "--model", "dummy", "--tasks", "mmar", "--data-dir", "nowhere"],
        r"no file nowhere/mmar/MMAR-meta\.jsonl; --data-dir D must hold",
    ),
    "a model without ears": (["run", "--model", "dummy", *RUN[3:]], r"which require multimodal input"),
}


@pytest.mark.usefixtures("few_tasks")
@pytest.mark.parametrize("name", MISTAKES)
def test_one_line(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    arguments, says = MISTAKES[name]
    assert main(arguments) == 1
    shown = capfd.readouterr()
    *_, last = shown.err.strip().splitlines()
    assert last.startswith("audio_eval.lm_eval: error: ") and re.search(says, last), last
    assert "Traceback" not in shown.err and "u:pass" not in shown.err + shown.out


def test_a_deterministic_run_is_loaded_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """And a cache of responses tells it from another, as its bits are others."""
    told, load = list[bool](), HF.load

    def loading(self: HF, entry: Any, config: Any, limits: Limits) -> Any:
        told.append(limits.deterministic)
        return load(self, entry, config, limits)

    monkeypatch.setattr(HF, "load", loading)
    audio_hf = get_model("audio-hf")
    models = [audio_hf.create_from_arg_string(given) for given in ("deterministic=true", "")]
    assert told == [True, False]
    assert models[0]._told["settings"] == {"deterministic": True} and models[1]._told["settings"] == {}


def test_a_fault_of_the_program_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lm_eval._cli.HarnessCLI.execute", lambda *_: int("no number"))
    with pytest.raises(ValueError, match="invalid literal"):
        main(RUN)
