"""What the YAML files say against what the code has, and that lm-eval builds all of them."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml

from audio_eval import prompts
from audio_eval.data import OFFICIAL, Sources
from audio_eval.task_index import listing
from tests.shared_data import ROOT
from tests.tasks.official import TASKS, manager, write_all

TRAINING = ["avqa"]  # nobody scores on it, so that there is no official rule
CHOICE, OPEN = ["mmau_test_mini", "mmar", "mmsu"], ["mmau_open", "daily_omni_open"]


class _Loader(yaml.SafeLoader):
    pass


_Loader.add_constructor("!function", lambda loader, node: str(node.value))
CONFIGS = {
    config["task"]: config
    for path in TASKS.glob("*/*.yaml")
    if isinstance((config := yaml.load(path.read_text(), _Loader))["task"], str)
}
REAL = sorted(set(CONFIGS) - {"synth_aqa", "synth_aqa_open"})


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_all(folder)
    return folder


def sources(name: str) -> Sources:
    module, _, attribute = CONFIGS[name]["custom_dataset"].rpartition(".")
    return getattr(import_module(module), attribute)


def test_the_tasks() -> None:
    text = ["alpaca_eval", "ultrafeedback"]
    daily, mmau = ["daily_omni_audio", "daily_omni_open"], ["mmau_open", "mmau_test", "mmau_test_mini"]
    assert sorted([*TRAINING, *text, *daily, *mmau, "mmau_test_mini_original", "mmar", "mmsu"]) == REAL


@pytest.mark.parametrize("name", REAL)
def test_metadata_agrees_with_the_code(name: str) -> None:
    said, read = CONFIGS[name]["metadata"], sources(name)
    assert said["hub"] == read.hub
    assert next(iter(read.named)) == OFFICIAL
    folder = read.named[OFFICIAL].layout.split("/")[1]
    assert said["reads"].startswith(f"D/{folder}/")
    assert {"version", "description", "groups"} <= set(said)
    assert said.get("prompt", prompts.DEFAULT) in prompts.named()
    scoring = said.get("scoring", "choice")
    assert ("official" in said) == (scoring == "choice" and name not in TRAINING)
    assert said.get("prompt") == {"open": "op_ttrav_open", "win_rate": "plain", "none": "plain"}.get(scoring)


@pytest.mark.parametrize("name", REAL)
def test_every_task_loads(name: str, data_dir: Path) -> None:
    task = manager(data_dir).load([name])["tasks"][name]
    doc = next(iter(task.test_docs()))
    assert list(doc["groups"]) == task.config.metadata["groups"]
    text = task.config.metadata.get("prompt") == "plain"
    assert getattr(task, "MULTIMODAL", False) is not text
    prompt = task.doc_to_text(doc)
    assert doc["question"] in prompt
    assert prompt == doc["question"] if text else prompt != doc["question"]
    metrics = set(task.process_results(doc, ["some words"]))
    assert metrics == set(task.aggregation()), "lm-eval wants every metric listed, and no other"
    task.build_all_requests()
    assert len(task.instances) == len(list(task.test_docs()))


@pytest.mark.parametrize(("group", "members"), [("audio_qa", CHOICE), ("audio_qa_open", OPEN)])
def test_groups(group: str, members: list[str], data_dir: Path) -> None:
    loaded = manager(data_dir).load([group])
    assert sorted(loaded["tasks"]) == sorted(members)
    assert list(loaded["groups"]) == [group]
    (aggregate,) = loaded["groups"][group].aggregate_metric_list
    metric = {"audio_qa": "acc", "audio_qa_open": "contains_em"}[group]
    assert (aggregate.metric, aggregate.weight_by_size) == (metric, False)
    assert listing().expand([group]) == members


def evaluate(names: list[str], data_dir: Path) -> dict[str, Any]:
    """lm-eval itself, on a model that gives every item's second option."""
    from lm_eval import simple_evaluate
    from lm_eval.models.dummy import DummyLM

    class Second(DummyLM):
        MULTIMODAL = True
        tokenizer = None  # which lm-eval would write down, and look for on the hub

        def generate_until(self, requests: list[Any], disable_tqdm: bool = False) -> list[str]:
            return [(request.doc["choices"] or ["", "cat"])[1] for request in requests]

    found = simple_evaluate(model=Second(), tasks=names, task_manager=manager(data_dir), bootstrap_iters=0)
    assert found is not None
    return found["results"]


def test_lm_eval_runs_groups_and_text(data_dir: Path) -> None:
    pytest.importorskip("sacrebleu")
    results = evaluate(["audio_qa", "audio_qa_open", "alpaca_eval"], data_dir)
    accuracies = [results[name]["acc,none"] for name in CHOICE]
    assert accuracies == [1.0, 0.0, 0.0]
    assert results["audio_qa"]["acc,none"] == pytest.approx(1 / 3)
    assert results["audio_qa_open"]["contains_em,none"] == 0.5
    assert results["alpaca_eval"]["words,none"] == 1.0


def test_mmau_means_its_test_mini(data_dir: Path) -> None:
    assert list(manager(data_dir).load(["mmau"])["tasks"]) == ["mmau_test_mini"]
    assert listing().expand(["mmau"]) == ["mmau_test_mini"]


def test_nothing_heavy_is_imported_for_data() -> None:
    modules = ", ".join(sorted({CONFIGS[name]["custom_dataset"].rpartition(".")[0] for name in REAL}))
    # datasets looks for torch by itself; what is checked is that nothing of ours needs it.
    code = f"import sys; sys.modules['torch'] = sys.modules['transformers'] = None; import {modules}"
    subprocess.run([sys.executable, "-c", code], check=True, env={"USE_TORCH": "0", "PATH": ""})


def test_every_package_is_shipped() -> None:
    tomllib = pytest.importorskip("tomllib")
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    folders = {f"audio_eval.tasks.{path.parent.name}" for path in TASKS.glob("*/__init__.py")}
    assert folders | {"audio_eval.data", "audio_eval.prompts"} <= set(tools["packages"])
