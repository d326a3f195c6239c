"""Every run file in configs/ is one that the command takes, says where it is from, and can be dry-run anywhere."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from audio_eval.cli.main import main
from audio_eval.errors import UserError
from audio_eval.plugins import registered
from audio_eval.registry import method_class
from audio_eval.runs.plan import plan, read_config
from audio_eval.runs.recipe import Recipe
from audio_eval.task_index import listing

FOLDER = Path(__file__).parents[2] / "configs"
CONFIGS = sorted(FOLDER.glob("*.yaml"))
DECIDING = {
    "tune", "train_tower", "lr", "schedule", "warmup", "weight_decay", "max_grad_norm", "loss", "clip", "beta",
    "temperature", "steps", "batch_size", "mini_batch", "inner_updates", "group_size", "votes", "prompt", "max_tokens",
}  # fmt: skip


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


@pytest.fixture(params=CONFIGS, ids=lambda path: path.stem)
def config(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_there_are_recipes() -> None:
    assert len(CONFIGS) >= 12 and "aqa_ttrl" in registered("methods")


def test_it_resolves_to_one_spec_a_task(config: str) -> None:
    specs, file = plan({}, config), read_config(Path(config))
    assert [spec.task for spec in specs] == file["tasks"]
    given = {key: value for key, value in file["method_args"].items() if key != "preset"}
    assert all(given.items() <= spec.method_args.items() for spec in specs)


def test_it_is_dry_run_without_network_and_data(
    config: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AUDIO_EVAL_CACHE", str(tmp_path / "cache"))
    assert main(["--config", config, "--data-dir", "data", "--dry-run", "--json"]) == 0
    plans = json.loads(capsys.readouterr().out)["plans"]
    assert len(plans) == len(read_config(Path(config))["tasks"])
    for one in plans:
        assert one["steps"] == one["method_args"]["steps"] or one["method"] == "sari" or one["steps"] is None
        assert {"items", "tokens", "time"} <= one["not_known"].keys()
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_it_says_its_source_and_how_to_run_it(path: Path) -> None:
    comment = "\n".join(line for line in path.read_text().splitlines() if line.startswith("#"))
    assert path.read_text().startswith(comment), "the comment comes first"
    assert re.search(r"arXiv \d{4}\.\d{5}|[\w-]+/[\w-]+@[0-9a-f]{7}", comment)
    assert comment.endswith(f"#   audio-eval --config configs/{path.name} --data-dir data --dry-run")


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_it_says_what_to_expect(path: Path) -> None:
    """A figure with its source, or why the source has none."""
    recipe = Recipe(expected=yaml.safe_load(path.read_text())["expected"])
    assert recipe.expected and all(one.source for one in recipe.expected)
    known = listing().expand(["mmau_test", "mmau_test_mini", "mmau_test_mini_original", "mmau_open", "mmar", "mmsu"])
    for one in recipe.expected:
        assert set(one.tasks) <= set(known) and (one.tasks or one.note)
        assert one.accuracy is None or 0 < one.accuracy < 100


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_setting_that_decides_is_from_the_source_or_listed_as_inferred(path: Path) -> None:
    """What the file sets and does not list is from the source; nothing is left to a default without a word."""
    file, (spec, *_) = read_config(path), plan({}, str(path))
    settings, inferred = spec.method_args, file["inferred"]
    known = {*settings, *type(spec).model_fields, "tasks"}
    assert set(inferred) <= known, "a name that is no setting"
    preset = method_class(spec.method).presets.get(file["method_args"].get("preset"), {})
    said = {*file["method_args"], *preset, *file, *inferred}
    assert DECIDING & {*settings, "prompt", "max_tokens"} <= said
    assert all(reason.strip() for reason in inferred.values())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("expected: [{accuracy: 70}]", "source: field required"),
        ("expected: [{source: x}]", "needs an accuracy, a gain, or a note"),
        ("expected: [{source: x, accuracy: high}]", "accuracy"),
        ("expected: [{source: x, acuracy: 70}]", "acuracy"),
        ("inferred: [lr]", "inferred"),
    ],
)
def test_what_a_file_says_of_itself_is_checked(content: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(f"model: tiny-omni\ntasks: [synth_aqa]\n{content}\n")
    with pytest.raises(UserError, match=message) as caught:
        read_config(path)
    assert "\n" not in str(caught.value) and str(path) in str(caught.value)


def test_what_a_file_says_of_itself_changes_nothing_of_the_run(tmp_path: Path) -> None:
    specs = []
    for more in ("", "expected: [{source: x, accuracy: 70}]\ninferred: {lr: a guess}\n"):
        (tmp_path / "run.yaml").write_text(f"model: tiny-omni\ntasks: [synth_aqa]\n{more}")
        specs.append(plan({}, str(tmp_path / "run.yaml")))
    assert specs[0] == specs[1]


def test_the_readme_lists_every_file() -> None:
    assert set(re.findall(r"\((\S+\.yaml)\)", (FOLDER / "README.md").read_text())) == {path.name for path in CONFIGS}
