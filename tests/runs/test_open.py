"""Open-ended tasks, judged tasks, tasks to adapt on: whole runs of the embedded model, a judge on a local server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from audio_eval.errors import UserError
from audio_eval.leaderboard import aggregate, load_runs, task_table
from audio_eval.runs.execute import Executor
from audio_eval.runs.plan import plan
from tests.openai_server import Answer, OpenAIServer, completion, prompt
from tests.runs.conftest import lines
from tests.runs.layout import write_mmar

OPEN = """
include: {base}
task: mmar_open
custom_dataset: !function data.TEST
metadata: {{version: "1", scoring: open, prompt: op_ttrav_open, groups: [modality]}}
"""
DATA = """
from audio_eval.data import OFFICIAL, Files, Sources, record

def convert(row):
    return record(id=row.text("id"), **row.audio("audio_path"), question=row.text("question"),
                  answer=row.text("answer"), groups={"modality": row.text("modality")})

TEST = Sources({OFFICIAL: Files("mmar", "MMAR-meta.jsonl", "audio", convert)})
"""


@pytest.fixture
def flags(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Flags of runs on a small open-ended task, on three instructions, and on unlabelled ones."""
    import audio_eval.tasks

    monkeypatch.setenv("AUDIO_EVAL_CACHE", str(tmp_path / "cache"))
    write_mmar(tmp_path, broken=False)
    (tmp_path / "more").mkdir()
    base = Path(audio_eval.tasks.__file__).parent / "_open"
    (tmp_path / "more" / "open.yaml").write_text(OPEN.format(base=base))
    (tmp_path / "more" / "data.py").write_text(DATA)
    (tmp_path / "alpaca_eval").mkdir()
    rows = [{"instruction": f"Say {i}", "output": "ok" * i, "generator": "gpt4", "dataset": "koala"} for i in (1, 2, 3)]
    (tmp_path / "alpaca_eval/alpaca_eval_gpt4_baseline.json").write_text(json.dumps(rows))
    return {"model": "tiny-omni", "data_dir": str(tmp_path), "include_path": str(tmp_path / "more"), "max_tokens": 16}


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    def script(request: dict, number: int) -> Answer:
        if request.get("logprobs"):
            return completion("m", {"m": 0.75, "M": 0.25})
        return completion("8" if "tempo" in prompt(request) else "hard to say")

    with OpenAIServer(script) as server:
        yield server


def run(executor: Executor, folder: Path, **flags: Any) -> dict[str, Any]:
    (spec,) = plan({"method": "direct", **flags})
    return executor.run(spec, folder).audio_eval.model_dump()


def test_open_answers_without_and_with_a_judge(
    executor: Executor, flags: dict[str, Any], server: OpenAIServer, tmp_path: Path
) -> None:
    bare = run(executor, tmp_path / "bare", tasks="mmar_open", **flags)
    assert bare["scorer"] == "contains_em@2" and bare["prompt"].startswith("op_ttrav_open@")
    assert {"bleu", "rouge_l", "exact"} == set(bare["metrics"]) and bare["official"] is None
    assert "options" not in lines(tmp_path / "bare", "questions.jsonl")[0]["prompt"]

    judged = run(
        executor, tmp_path / "judged", tasks="mmar_open", judge=server.url, judge_model="judge-7b", **flags
    )  # fmt: skip
    assert judged["accuracy"] == bare["accuracy"]
    assert judged["metrics"]["grade"] == {"value": 80.0, "n": 2}, "unreadable grades are counted, not guessed"
    assert (judged["judge"]["graded"], judged["judge"]["unparsable"], judged["judge"]["n"]) == (2, 4, 6)
    records = lines(tmp_path / "judged", "scores.jsonl")
    assert sorted({record["judge_reply"] for record in records}) == ["8", "hard to say"]
    asked = len(server.requests)
    run(executor, tmp_path / "again", tasks="mmar_open", judge=server.url, judge_model="judge-7b", **flags)
    assert len(server.requests) == asked, "replies are kept"

    runs, skipped = load_runs([tmp_path / "judged"])
    assert not skipped
    page = task_table(aggregate(runs))
    assert "80.0 (n 2)" in page and "judge-7b@127.0.0.1" in page and "grade" in page


def test_win_rates(executor: Executor, flags: dict[str, Any], server: OpenAIServer, tmp_path: Path) -> None:
    bare = run(executor, tmp_path / "bare", tasks="alpaca_eval", **flags)
    assert bare["accuracy"] is None and bare["note"].startswith("not judged")
    judged = run(
        executor, tmp_path / "judged", tasks="alpaca_eval", judge=server.url, judge_model="judge-7b", **flags
    )  # fmt: skip
    preferences = [record["measures"]["preference"] for record in lines(tmp_path / "judged", "scores.jsonl")]
    assert judged["metrics"]["preference"]["value"] == pytest.approx(100 * sum(preferences) / 3, abs=1e-3)
    assert judged["judge"]["win_rate"] == pytest.approx(judged["metrics"]["preference"]["value"], abs=1e-3)
    assert "length_adjusted_win_rate" in judged["metrics"] and judged["scorer"] == "preferred@1"
    runs, skipped = load_runs([tmp_path / "bare", tmp_path / "judged"])
    assert not skipped
    assert "win rate against the baseline's output by a judge" in task_table(aggregate(runs))


def test_a_judge_that_is_not_there_costs_no_response(executor: Executor, flags: dict[str, Any], tmp_path: Path) -> None:
    nobody = "http://127.0.0.1:9/v1"
    with pytest.raises(UserError, match="judge"):
        run(executor, tmp_path / "run", tasks="alpaca_eval", judge=nobody, judge_model="judge-7b", **flags)
    assert len(lines(tmp_path / "run", "responses.jsonl")) == 3


def test_adapting_on_another_task(executor: Executor, flags: dict[str, Any], tmp_path: Path) -> None:
    row = run(
        executor, tmp_path / "run", tasks="mmar", method="aqa_ttrl", method_args="votes=2,steps=1,tune=lora",
        adapt_task="synth_aqa:validation", train_limit=8, **flags,
    )  # fmt: skip
    assert row["tags"] == ["adapted on synth_aqa:validation", "pseudo labels"]
    assert {label["id"] for label in lines(tmp_path / "run", "adapt/labels.jsonl")} == {
        f"synth-validation-{i:05d}" for i in range(8)
    }
    assert [record["id"] for record in lines(tmp_path / "run", "responses.jsonl")] == [f"r{i}" for i in range(6)]
    with pytest.raises(UserError, match="needs multiple-choice questions"):
        run(executor, tmp_path / "no", tasks="mmar_open", method="aqa_ttrl", **flags)
    assert not (tmp_path / "no").exists()


def test_a_task_to_adapt_on_is_not_scored(executor: Executor, flags: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "ultrafeedback").mkdir()
    for name in ("evol_instruct", "false_qa", "flan", "sharegpt", "truthful_qa", "ultrachat"):
        (tmp_path / f"ultrafeedback/{name}.jsonl").write_text(json.dumps({"source": name, "instruction": "Say A"}))
    with pytest.raises(UserError, match="one to adapt on: --adapt-task ultrafeedback"):
        run(executor, tmp_path / "run", tasks="ultrafeedback", **flags)
    row = run(executor, tmp_path / "run", tasks="mmar", adapt_task="ultrafeedback", **flags)
    assert row["n"] == 6 and row["tags"] == []
