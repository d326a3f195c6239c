"""What others read of a run: the model card as the hub reads it, the result as lm-eval's tools do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from huggingface_hub import ModelCard

from audio_eval.cli.main import main
from audio_eval.leaderboard import load_runs
from audio_eval.runlog import RunLog
from audio_eval.sharing.card import card
from audio_eval.sharing.lm_eval_result import lm_eval_result
from audio_eval.sharing.strip import Stripper


def text_of(folder: Path) -> str:
    (run,), _ = load_runs([folder])
    return card(RunLog(folder), run, Stripper())


def test_the_hub_reads_the_card(trained: Path) -> None:
    text, row = text_of(trained), RunLog(trained).result().audio_eval
    found = ModelCard(text)
    assert (found.data.license, found.data.library_name) == ("apache-2.0", "peft")
    (result,) = found.data.eval_results
    assert (result.metric_type, result.metric_value, result.dataset_type) == ("accuracy", row.accuracy, row.task)
    assert "**Transductive**" in text and f"| {row.adapter_sha256} |" in text and "95 % interval [" in text
    assert "synth_aqa:validation, the first 8 items" in text and "| seed | 0 |" in text


def test_a_hostile_name_stays_text_in_the_card(run: Path) -> None:
    hostile = "a]: b\n---\nlicense: mit | <img src=x onerror=alert(1)> [x](javascript:y) \u202e`"
    log = RunLog(run)
    result = log.result()
    row = result.audio_eval.model_copy(update={"model": hostile})
    log.write_result(result.model_copy(update={"audio_eval": row}))
    found = ModelCard(text_of(run))
    assert found.data.license == "apache-2.0"
    assert "<img" not in found.text and "\u202e" not in found.text and "x](javascript" not in found.text


def test_lm_evals_own_table_is_made_of_it(trained: Path, tmp_path: Path) -> None:
    from lm_eval.utils import make_table

    assert main(["export", str(trained), "-o", str(tmp_path / "results.json")]) == 0
    told = json.loads((tmp_path / "results.json").read_text())
    row = RunLog(trained).result().audio_eval
    assert row.accuracy is not None
    for source in (told, json.loads((trained / "result.json").read_text())):  # and of a run's own file
        cells = [part.strip() for part in make_table(source).splitlines()[2].strip("|").split("|")]
        assert cells[:6] == ["synth_aqa:validation", "1", "none", "0", "acc", "↑"]
        assert float(cells[6]) == row.accuracy / 100 and cells[7] == "±"
    assert told == json.loads(json.dumps(lm_eval_result(RunLog(trained))))
    assert told["n-samples"][row.task]["effective"] == 8 and told["config"]["random_seed"] == 0


def test_lm_evals_own_reader_finds_it(trained: Path, tmp_path: Path) -> None:
    """Its loggers read what a results file has of tasks and versions."""
    from lm_eval.loggers.utils import remove_none_pattern
    from lm_eval.utils import sanitize_model_name

    told = lm_eval_result(RunLog(trained))
    assert remove_none_pattern("acc,none") == ("acc", True)
    assert set(told["configs"]) == set(told["results"]) == set(told["versions"]) == set(told["n-shot"])
    assert sanitize_model_name(told["model_name"]) == told["model_name_sanitized"]


def test_another_ending_is_refused(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", str(trained), "-o", str(tmp_path / "x.tar")]) == 1
    assert "ends in .zip" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
