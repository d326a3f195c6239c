"""The sweep behind the defaults: around each default, on validation, one setting at a time."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from audio_eval.plugins import registered
from audio_eval.registry import method_class
from tests.bench.test_five_seeds import run_at

sweep, variants = map(importlib.import_module, ("sweep", "variants"))


def test_every_method_with_the_preset_is_in_the_sweep_or_said_to_be_out() -> None:
    with_preset = {name for name in registered("methods") if "small" in method_class(name).presets}
    controls = {"random_reward", "format_reward", "wrong_majority"}
    assert with_preset - controls - {"xs_cot"} == set(sweep.METHODS)


@pytest.mark.parametrize("method", sweep.METHODS)
def test_one_setting_differs_from_the_default_and_lies_on_both_sides_of_it(method: str) -> None:
    default = sweep.usual(method)
    preset = method_class(sweep.METHODS[method].method).presets["small"]
    assert set(preset) <= set(sweep.SETTINGS), "every default of the preset"
    for setting in sweep.SETTINGS:
        for variant in sweep.around(method, setting):
            found = variants.spec_of(variant, sweep.TASK, 0).method_args
            assert {key for key in found if found[key] != default[key]} == {setting}
    for setting in ("lr", "batch_size"):
        values = sweep.SETTINGS[setting]
        assert min(values) < default[setting] < max(values)


def test_only_validation_is_looked_at() -> None:
    assert all(
        work.task.endswith(":validation") for work in sweep.works(list(sweep.METHODS), list(sweep.SETTINGS), [0])
    )


def test_the_page_sets_each_value_beside_the_default(tmp_path: Path) -> None:
    states = {"sft": "rrrwww", "sft, lr=0.0001": "rrrrww", "sft, lr=0.001": "rwwwww"}
    done = [
        variants.Done("lr", name, 0, run_at(tmp_path / name, "a" * 40, of_name, method="sft", task="t:validation"))
        for name, of_name in states.items()
    ]
    page = sweep.page(done, ["sft"], ["lr", "batch_size"], [0])
    assert "at commit aaaaaaaaaa." in page and "n 6, task t:validation" in page
    (better,) = [line for line in page.splitlines() if line.startswith("| lr") and "0.0001" in line]
    assert "66.7 [" in better and "0.0003" in better and "+16.7 [" in better
    assert "Not measured: `sft, batch_size=8`; `sft, batch_size=32`." in page
