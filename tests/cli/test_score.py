"""``audio-eval score``: responses made elsewhere."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from audio_eval.cli.main import main
from audio_eval.runs.external import KEPT
from audio_eval.scoring import RULES
from audio_eval.scoring.chance import chance
from audio_eval.scoring.statistics import wilson_interval
from audio_eval.store import read_json
from tests.cli.test_mistakes import mistake
from tests.runs.layout import ITEMS, write_mmar
from tests.shared_data import shared_path


def responses(path: Path, texts: dict[str, str | None]) -> Path:
    path.write_text("\n".join(json.dumps({"id": id_, "response": text}) for id_, text in texts.items()))
    return path


def scored(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[dict[str, Any], str]:
    """The one row, and what stderr says."""
    assert main(["score", *map(str, arguments), "--json"]) == 0
    shown = capsys.readouterr()
    (row,) = json.loads(shown.out)["rows"]
    return row, shown.err


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return write_mmar(tmp_path / "data", broken=False)


def gold(data_dir: Path) -> dict[str, str | None]:
    rows = map(json.loads, (data_dir / "mmar/MMAR-meta.jsonl").read_text().splitlines())
    return {row["id"]: row["answer"] for row in rows}


def test_missing_and_unknown_ids(data_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    texts = gold(data_dir) | {"r0": None, "zz": "x"}
    del texts["r1"]
    file = responses(tmp_path / "mine.jsonl", texts)
    row, said = scored(capsys, "mmar", "--responses", file, "--data-dir", data_dir, "-o", tmp_path / "runs")
    assert (row["n"], row["unparsable_n"]) == (ITEMS, 2)
    assert row["accuracy"] == pytest.approx(100 * (ITEMS - 2) / ITEMS, abs=1e-3)
    assert row["official"] == {"rule": "mmar_official", "accuracy": row["accuracy"], "n": ITEMS}
    assert "no response, counted as wrong: 2 items: r0, r1" in said
    assert "no such item, left out: 1 items: zz" in said
    assert (row["model"], row["method"], row["task"], row["prompt"]) == ("mine", "responses", "mmar", None)
    assert row["groups"]["modality"]["music"]["official"]["n"] == ITEMS
    assert read_json(Path(row["run"]) / "result.json")["audio_eval"] == row


def test_of_many_unknown_ids_a_part_is_kept_and_all_are_counted(
    data_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = responses(tmp_path / "mine.jsonl", gold(data_dir) | dict.fromkeys(map(str, range(KEPT + 5)), "x"))
    row, said = scored(capsys, "mmar", "--responses", file, "--data-dir", data_dir, "-o", tmp_path / "runs")
    assert (len(row["notes"]["unknown"]), row["notes"]["unknown_items"]) == (KEPT, KEPT + 5)
    assert "no such item, left out: 1005 items: 0, 1" in said


def test_same_file_same_folder_another_file_another(
    data_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = responses(tmp_path / "mine.jsonl", gold(data_dir))
    flags = ("mmar", "--responses", file, "--data-dir", data_dir, "-o", tmp_path / "runs", "--name", "our system")
    first, again = scored(capsys, *flags)[0], scored(capsys, *flags)[0]
    responses(file, dict.fromkeys(gold(data_dir), "what?"))
    other = scored(capsys, *flags)[0]
    assert first == again and first["run"] != other["run"]
    assert (first["accuracy"], other["accuracy"], other["unparsable"]) == (100.0, 0.0, 100.0)
    assert main(["leaderboard", str(tmp_path / "runs"), "-o", str(tmp_path / "lb")]) == 0
    page = (tmp_path / "lb" / "mmar.md").read_text()
    assert "our system" in page and "## By modality" in page and "100.0 / 100.0" in page


def test_mistakes(data_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "bad.jsonl"
    flags = ["score", "mmar", "--responses", str(file), "--data-dir", str(data_dir), "-o", str(tmp_path / "runs")]
    assert f"no file {file}" in mistake(capsys, flags)
    file.write_text('{"id": "r0", "response": "x"}\n{"id": "r0", "response": "y"}\n{"id": 3}\nno json\n["r1"]\n')
    line = mistake(capsys, flags)
    assert "line 2 has the id of line 1 (r0)" in line
    for number in (3, 4, 5):
        assert f"line {number} is not" in line
    responses(file, {"zz": "x"})
    assert "none of its 1 ids is one of task 'mmar'" in mistake(capsys, flags)
    responses(file, gold(data_dir))
    assert "no evaluation server" in mistake(capsys, [*flags, "--submission", str(tmp_path / "s.json")])
    assert "go together" in mistake(capsys, [*flags, "--judge", "http://localhost:1/v1"])


def test_submission(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    official = [
        {"id": f"m{i}", "audio_id": f"./test-audios/m{i}.wav", "question": "Which?", "choices": ["dog", "cat"],
         "answer": "", "dataset": "x", "task": "sound", "split": "test", "category": "Reasoning",
         "sub-category": "Counting", "difficulty": "easy"} for i in range(3)
    ]  # fmt: skip
    (tmp_path / "mmau").mkdir()
    (tmp_path / "mmau/mmau-test.json").write_text(json.dumps(official))
    file = responses(tmp_path / "r.jsonl", {"m0": "<answer>cat</answer>", "m2": "dog"})
    out = tmp_path / "submission.json"
    row, said = scored(
        capsys, "mmau_test", "--responses", file, "--data-dir", tmp_path, "-o", tmp_path, "--submission", out
    )
    assert row["accuracy"] is None and row["n"] == 3 and "answers are hidden" in said
    filled = json.loads(out.read_text())
    assert [item["model_output"] for item in filled] == ["cat", "", "dog"]
    assert [{key: item[key] for key in official[0]} for item in filled] == official
    # the answers are not there, so a leaderboard says so
    assert main(["leaderboard", str(tmp_path), "-o", str(tmp_path / "lb")]) == 0
    assert "hidden" in (tmp_path / "lb/mmau_test.md").read_text()


@pytest.mark.parametrize("task", ["mmau", "mmar", "mmau_test_mini_original"])
def test_failing_empty_and_random_systems(task: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from audio_eval.task import load_task

    data_dir = str(shared_path("data/benchmarks"))
    items = load_task(task, None, data_dir)
    file = responses(tmp_path / "r.jsonl", {id_: ("HTTP 503", None)[i % 2] for i, id_ in enumerate(items.answers)})
    row, _ = scored(capsys, task, "--responses", file, "--data-dir", data_dir, "-o", tmp_path / "runs")
    assert (row["accuracy"], row["official"]["accuracy"], row["unparsable"]) == (0.0, 0.0, 100.0)
    # several guessers are one guesser of as many more items
    hits = {"accuracy": 0.0, "official": 0.0}
    rounds = 3
    for seed in range(rounds):
        rng = random.Random(seed)
        file = responses(
            tmp_path / "r.jsonl", {q.id: f"<answer>{rng.choice(q.choices)}</answer>" for q in items.questions}
        )
        row, _ = scored(capsys, task, "--responses", file, "--data-dir", data_dir, "-o", tmp_path / "runs")
        hits["accuracy"] += row["accuracy"] * row["n"] / 100
        hits["official"] += row["official"]["accuracy"] * row["n"] / 100
    pairs = [(items.letters[q.id], items.answers[q.id]) for q in items.questions]
    for key, rule in (("accuracy", RULES["choice"]), ("official", items.official)):
        interval = wilson_interval(round(hits[key]), rounds * len(pairs))
        assert interval.low <= chance(rule, pairs) <= interval.high


@pytest.mark.parametrize("key", ["response", "model_output", "model_prediction", "answer_prediction", "prediction"])
@pytest.mark.parametrize("layout", ["list", "lines"])
def test_official_filled_in_files(
    key: str, layout: str, data_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The official records with one more key, whatever the name of the file says of its layout."""
    rows = [json.loads(line) for line in (data_dir / "mmar/MMAR-meta.jsonl").read_text().splitlines()]
    filled = [{**row, "thinking_prediction": "hm", key: row["answer"]} for row in rows]
    for name in ("mine.json", "mine.jsonl"):
        file = tmp_path / name
        file.write_text(json.dumps(filled, indent=1) if layout == "list" else "\n".join(map(json.dumps, filled)))
        row, said = scored(capsys, "mmar", "--responses", file, "--data-dir", data_dir, "-o", tmp_path / name[5:])
        assert (row["accuracy"], row["unparsable_n"], row["n"]) == (100.0, 0, ITEMS)
        assert "no response" not in said


def test_a_file_without_responses_is_refused(
    data_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "mine.jsonl"
    file.write_text((data_dir / "mmar/MMAR-meta.jsonl").read_text())
    flags = ["score", "mmar", "--responses", str(file), "--data-dir", str(data_dir), "-o", str(tmp_path / "runs")]
    line = mistake(capsys, flags)
    assert "no row has a response: the keys are 'id', 'audio_path', 'question'" in line and "'model_output'" in line
    assert not (tmp_path / "runs").exists()


def test_rows_without_ids(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Daily-Omni's own file: items are counted per video, in the order of the file."""
    rows = [
        {"Question": f"q{i}", "Choice": ["A. yes", "B. no"], "Answer": "AB"[i % 2], "video_id": "v" if i < 2 else "w",
         "Type": "x", "video_category": "y", "video_duration": "30s"} for i in range(3)
    ]  # fmt: skip
    (tmp_path / "daily_omni").mkdir()
    (tmp_path / "daily_omni/qa.json").write_text(json.dumps(rows))
    file = tmp_path / "mine.json"
    file.write_text(json.dumps([{**row, "prediction": row["Answer"]} for row in rows]))
    flags = ("--responses", file, "--data-dir", tmp_path, "--prompt", "daily_omni_official", "-o", tmp_path / "runs")
    assert scored(capsys, "daily_omni_audio", *flags)[0]["accuracy"] == 100.0


def test_golds_that_are_no_option_are_named(data_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = data_dir / "mmar/MMAR-meta.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    for row in rows[1:3]:
        row["answer"] = "something else"
    path.write_text("\n".join(map(json.dumps, rows)))
    file = responses(tmp_path / "mine.jsonl", gold(data_dir))
    row, said = scored(capsys, "mmar", "--responses", file, "--data-dir", data_dir, "-o", tmp_path / "runs")
    assert "gold answer is no option, so no response can be right: 2 items (r1, r2)" in said
    assert row["notes"]["stray_golds"] == ["r1", "r2"] and row["n"] == ITEMS
    run = ["--model", "tiny-omni", "--tasks", "mmar", "--data-dir", str(data_dir), "--limit", "3", "-o", str(tmp_path)]
    assert main([*run, "--json"]) == 0
    shown = capsys.readouterr()
    assert "gold answer is no option, so no response can be right: 2 items (r1, r2)" in shown.err
    assert json.loads(shown.out)["rows"][0]["notes"]["stray_golds"] == ["r1", "r2"]


def test_rows_with_another_key_are_not_left_out(
    data_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Else what they say would count as no response."""
    rows = [{"id": "r0", "response": "x"}, {"id": "r1", "prediction": "x"}]
    (tmp_path / "mine.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    given = ["score", "mmar", "--responses", str(tmp_path / "mine.jsonl"), "--data-dir", str(data_dir)]
    assert "line 2 has 'prediction' where other rows have 'response'" in mistake(capsys, given)


def test_a_file_that_grows_while_it_is_read(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from audio_eval.runs import external

    file = responses(tmp_path / "mine.jsonl", gold(data_dir))

    def growing(path: Path) -> Any:
        yield from read_rows(path)
        path.write_text(path.read_text() + '\n{"id": "zz", "response": "x"}')

    read_rows = external.read_rows
    monkeypatch.setattr(external, "read_rows", growing)
    given = ["score", "mmar", "--responses", str(file), "--data-dir", str(data_dir)]
    assert "was written to while it was read" in mistake(capsys, given)
