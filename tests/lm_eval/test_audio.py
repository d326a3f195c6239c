"""Tasks of ours in lm-eval, with its caches on: the answers of ``direct``, and never those of something else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from lm_eval.api.instance import Instance
from lm_eval.caching import cache

from audio_eval.audio import AudioRef
from audio_eval.cli.main import main as audio_eval
from audio_eval.errors import UserError
from audio_eval.lm_eval.__main__ import main
from audio_eval.lm_eval.models import PolicyLM
from audio_eval.lm_eval.requests import recordings
from tests.lm_eval.conftest import answers, evaluate
from tests.runs.layout import BROKEN, ITEMS

OTHERS = [f"r{i}" for i in range(ITEMS) if f"r{i}" != BROKEN]


@pytest.fixture(autouse=True)
def caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """lm-eval reads the folder of its request cache when it is imported."""
    monkeypatch.setattr(cache, "PATH", str(tmp_path / "requests"))


def metadata(data_dir: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (data_dir / "mmar" / "MMAR-meta.jsonl").read_text().splitlines()]


def ask(lm: Any, data_dir: Path, responses: Path | None) -> Any:
    """mmar with both caches; the path of that of responses is the user's to choose."""
    return evaluate(lm, ["mmar"], None, data_dir, use_cache=str(responses) if responses else None, cache_requests=True)


@pytest.mark.usefixtures("few_tasks")
def test_the_command_line_gives_what_direct_gives(
    mmar: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--model", "tiny-omni", "--tasks", "mmar", "--data-dir", str(mmar), "--output", str(tmp_path), "--json"]
    flags += ["--max-errors", "1"]  # a recording is broken
    assert audio_eval(flags) == 0
    (row,) = json.loads(capsys.readouterr().out)["rows"]
    said = [json.loads(line) for line in (Path(row["run"]) / "responses.jsonl").read_text().splitlines()]
    command = ["run", "--model", "audio-hf", "--tasks", "mmar", "--data-dir", str(mmar), "--batch_size", "auto"]
    command += ["--use_cache", str(tmp_path / "responses"), "--cache_requests", "--log_samples"]
    for attempt in ("first", "again"):
        out = tmp_path / attempt
        assert main([*command, "--output_path", str(out)]) == 0
        (file,), (samples,) = out.rglob("results_*.json"), out.rglob("samples_mmar_*.jsonl")
        found = json.loads(file.read_text())
        for key, percent in (("acc,none", row["accuracy"]), ("unparsable,none", row["unparsable"])):
            assert 100 * found["results"]["mmar"][key] == pytest.approx(percent, abs=1e-4)  # rows are rounded
            assert percent > 0
        lines = sorted(map(json.loads, samples.read_text().splitlines()), key=lambda one: one["doc_id"])
        assert [one["resps"][0][0] for one in lines] == [one["response"] for one in said]
        assert list(found["config"]["failed_items"]) == [f"mmar/{BROKEN}/0"], "a bad item is named"
        assert found["config"]["model_revision"] == row["model_revision"]
    assert (tmp_path / "responses_rank0.db").is_file() and len([*(tmp_path / "requests").iterdir()]) == 1


def test_nothing_is_asked_twice_but_what_failed(demo: PolicyLM, mmar: Path, tmp_path: Path, heard: list[str]) -> None:
    first = ask(demo, mmar, tmp_path / "responses")
    assert sorted(heard) == sorted([*OTHERS, BROKEN])
    heard.clear()
    second = ask(demo, mmar, tmp_path / "responses")
    assert heard == [BROKEN], "an empty answer for want of a recording is no answer"
    assert answers(first, "mmar") == answers(second, "mmar") and first["results"] == second["results"]


def test_an_interrupted_evaluation_goes_on(
    demo: PolicyLM, mmar: Path, tmp_path: Path, heard: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("audio_eval.lm_eval.models._AHEAD", 1)
    generate, calls = demo.policy.generate, iter(range(9))

    def stopping(questions: Any, sampling: Any) -> Any:
        if next(calls) == 1:
            raise KeyboardInterrupt
        return generate(questions, sampling)

    with monkeypatch.context() as stop:
        stop.setattr(demo.policy, "generate", stopping)
        with pytest.raises(KeyboardInterrupt):
            ask(demo, mmar, tmp_path / "responses")
    done = [*heard]
    assert len(done) == 2
    heard.clear()
    ask(demo, mmar, tmp_path / "responses")
    assert sorted([*heard, *(id_ for id_ in done if id_ != BROKEN)]) == sorted([*OTHERS, BROKEN])


def test_a_recording_that_changed_is_heard(demo: PolicyLM, mmar: Path, tmp_path: Path, heard: list[str]) -> None:
    ask(demo, mmar, tmp_path / "responses")
    heard.clear()
    soundfile.write(mmar / "mmar" / "audio" / "r3.wav", np.zeros(8000), 16000)
    ask(demo, mmar, tmp_path / "responses")
    assert sorted(heard) == sorted([BROKEN, "r3"])


def test_questions_that_changed_are_asked(demo: PolicyLM, mmar: Path, tmp_path: Path, heard: list[str]) -> None:
    """lm-eval itself would take the requests of the old file, and score their answers by the new one."""
    ask(demo, mmar, tmp_path / "responses")
    heard.clear()
    rows = metadata(mmar)
    rows[2] |= {"question": "Which instrument plays?", "choices": ["flute", "organ", "harp"]}
    (mmar / "mmar" / "MMAR-meta.jsonl").write_text("\n".join(map(json.dumps, rows[::-1])))
    found = ask(demo, mmar, tmp_path / "responses")
    assert sorted(heard) == sorted([BROKEN, "r2"])
    for sample in found["samples"]["mmar"]:
        assert sample["doc"]["question"] in sample["arguments"][0][0]


def test_responses_of_another_model_are_refused(
    demo: PolicyLM, ours: PolicyLM, mmar: Path, tmp_path: Path, heard: list[str]
) -> None:
    ask(demo, mmar, tmp_path / "responses")
    with pytest.raises(UserError, match=r"responses_rank0\.db' holds the responses of 'tiny-omni' .* name another"):
        ask(ours, mmar, tmp_path / "responses")
    other = ask(ours, mmar, tmp_path / "others")
    assert answers(other, "mmar") == answers(ask(ours, mmar, None), "mmar")


def test_a_chat_template_changes_nothing_for_items_with_recordings(demo: PolicyLM, mmar: Path) -> None:
    plain, chat = (evaluate(demo, ["mmar"], None, mmar, apply_chat_template=on) for on in (False, True))
    assert answers(plain, "mmar") == answers(chat, "mmar") and len({*answers(plain, "mmar")}) > 2
    with pytest.raises(UserError, match="one user turn: no system text"):
        evaluate(demo, ["mmar"], None, mmar, apply_chat_template=True, system_instruction="Be brief.")


@pytest.mark.parametrize("form", ["path", "bytes", "array"])
def test_recordings_of_other_tasks(form: str, tmp_path: Path) -> None:
    wave = np.sin(np.arange(1600) / 9).astype(np.float32)
    soundfile.write(tmp_path / "a.wav", wave, 16000, subtype="FLOAT")
    path, data = str(tmp_path / "a.wav"), (tmp_path / "a.wav").read_bytes()
    given: dict[str, Any] = {
        "path": {"path": path},
        "bytes": {"bytes": data, "path": None},
        "array": {"array": wave, "sampling_rate": 16000},
    }
    for heard in recordings({"audio": [given[form], given["path"]]}):
        np.testing.assert_array_equal(heard.load(), wave)


def test_what_cannot_be_asked(demo: PolicyLM) -> None:
    assert recordings({"audio": [{"path": "", "sha256": ""}]}) == []
    assert recordings({"audio": [{"path": "a"}, {"path": "b"}]}) == [AudioRef(path="a"), AudioRef(path="b")]
    with pytest.raises(UserError, match="images"):
        recordings({"visual": []})
    with pytest.raises(UserError, match="unknown setting 'num_beams' of generation_kwargs"):
        demo.generate_until([Instance("generate_until", {}, ("", {"num_beams": 2}), 0, ("t", 0, 1))])
    with pytest.raises(UserError, match="no likelihoods of answers to a recording"):
        demo.loglikelihood([Instance("loglikelihood", {}, ("", "a", {"audio": []}), 0, ("t", 0, 1))])
