"""Every run file in configs/ is one that the command takes, says where it is from, and can be dry-run anywhere."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from audio_eval.cli.main import main
from audio_eval.plugins import registered
from audio_eval.runs.plan import plan, read_config

FOLDER = Path(__file__).parents[2] / "configs"
CONFIGS = sorted(FOLDER.glob("*.yaml"))


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
    assert "Inferred:" in comment
    assert comment.endswith(f"#   audio-eval --config configs/{path.name} --data-dir data --dry-run")


def test_the_readme_lists_every_file() -> None:
    assert set(re.findall(r"\((\S+\.yaml)\)", (FOLDER / "README.md").read_text())) == {path.name for path in CONFIGS}
