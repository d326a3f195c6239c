"""Memory and disk of the recipes and of the README's tables are what the arithmetic gives."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from audio_eval.models.backends import choose
from audio_eval.runlog.spec import RunSpec
from audio_eval.runs.needs import run_needs
from audio_eval.runs.plan import plan
from audio_eval.runs.recipe import Needed

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "bench"))
import recipe_needs  # noqa: E402 - a script of bench/

CONFIGS = sorted((ROOT / "configs").glob("*.yaml"))
HINT = "run python bench/recipe_needs.py"


def needs_of(path: Path) -> Needed:
    return Needed(**yaml.safe_load(path.read_text())["needs"])


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_recipe_carries_what_it_needs(path: Path) -> None:
    found, spec = needs_of(path), plan({}, str(path))[0]
    assert recipe_needs.amount(spec) == found.model_dump(exclude={"below_80_gb"}), HINT
    assert (found.device_gb > 80) == (found.below_80_gb is not None), HINT
    if less := found.below_80_gb:
        changed = plan({"method_args": ",".join(f"{k}={v}" for k, v in less.settings.items())}, str(path))[0]
        assert recipe_needs.amount(changed) == less.model_dump(exclude={"settings"}), HINT
        assert less.device_gb <= 80


def test_the_tables_are_those_of_the_arithmetic() -> None:
    known = {path.stem: needs_of(path) for path in CONFIGS}
    assert recipe_needs.page(known) in (ROOT / "configs" / "README.md").read_text(), HINT


def test_settings_that_fit_are_few_and_change_no_result_where_that_is_enough() -> None:
    recipes = dict(recipe_needs.recipes())
    large, small = (recipes[ROOT / "configs" / f"{name}.yaml"] for name in ("ttrl-7b", "op_ttrav-mcq"))
    found = recipe_needs.needed(large)
    assert found.below_80_gb is not None and set(found.below_80_gb.settings) <= {"optimizer", "logits_chunk"}
    assert recipe_needs.smaller(small, 1e15) is None, "it fits as it is"
    assert recipe_needs.smaller(small, 1e9) is None, "nothing makes it so small"


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"optimizer": "adamw_offloaded"}, "moments"),
        ({"optimizer": "adamw_8bit"}, "moments"),
        ({"lora_r": 8, "tune": "lora"}, "gradients"),
        ({"train_tower": False}, "activations of the tower"),
        ({"checkpointing": True, "token_budget": 4096}, "activations"),
    ],
    ids=str,
)
def test_a_setting_makes_its_own_part_smaller(change: dict[str, Any], part: str) -> None:
    spec = plan({}, str(ROOT / "configs" / "aqa_ttrl-3b-small.yaml"))[0]
    spec = spec.model_copy(update={"method_args": {**spec.method_args, "checkpointing": False, "token_budget": 16384}})
    changed = spec.model_copy(update={"method_args": {**spec.method_args, **change}})
    before, after = (run_needs(one, gpu=True)[0].moments["update"] for one in (spec, changed))
    assert after.get(part, 0) < before[part]


def test_a_run_without_training_needs_no_checkpoint() -> None:
    spec = plan({"model": "qwen2.5-omni-3b", "method": "majority_vote", "tasks": "mmar"})[0]
    found, disk = run_needs(spec, gpu=True)
    assert disk == found.checkpoint == 0 and "moments" not in found.moments["answers"]


def test_what_another_backend_runs_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = RunSpec(model="m", backend="api", method="direct", method_args={}, task="synth_aqa",
                   model_args={"base_url": "http://127.0.0.1:9"})  # fmt: skip
    assert choose(spec.model, spec.backend, spec.model_args).backend.name == "api"
    with pytest.raises(Exception, match="elsewhere"):
        run_needs(spec, gpu=True)
