"""Run directories of strangers, and damaged ones: each of their files is read or named, and the others are shown."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from audio_eval.leaderboard import Committed, aggregate, load_runs
from audio_eval.leaderboard.files import pages
from audio_eval.runlog import ResponsesSpec, RunLog
from audio_eval.runs.external import read_responses, score_responses
from audio_eval.scoring.graders import Graders
from audio_eval.task import load_task
from tests.bad_input import recordings, texts
from tests.bad_input.limits import outcome, run, within
from tests.leaderboard.runs import make_run

LINES = ("questions.jsonl", "responses.jsonl", "scores.jsonl", "sessions.jsonl")
FILES = ("spec.json", "identity.json", "env.json", "notes.json", "result.json", *LINES)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of two items, with every file of one."""
    folder = tmp_path_factory.mktemp("good")
    (folder / "mmar").mkdir()
    rows = [texts.ROW, {**texts.ROW, "id": "r2"}]
    (folder / "mmar" / "MMAR-meta.jsonl").write_bytes(b"".join(map(texts.line, rows)))
    (folder / "said.jsonl").write_text('{"id": "r1", "response": "a dog"}\n{"id": "r2", "response": "a cat"}\n')
    task = load_task("mmar", data_dir=str(folder))
    responses = read_responses(folder / "said.jsonl", task)
    spec = ResponsesSpec(task="mmar", name="x", responses=responses.digest)
    score_responses(task, responses, spec, RunLog(folder / "run"), Graders())
    return folder / "run"


def read_all(folder: Path) -> None:
    """Whatever a command reads of a run directory, each for itself: an error of one line hides no other."""
    log = RunLog(folder)
    readers = (
        log.spec, log.identity, log.environment, log.notes, log.result, log.reported, log.imported, log.confidences,
        log.questions.read, log.responses.read, log.scores.read, log.sittings.read, lambda: list(log.samples()),
        lambda: log.responses.resume(1, ["r1", "r2"]),
    )  # fmt: skip
    for read in readers:
        outcome(read)


@pytest.mark.parametrize("name", FILES)
def test_every_file_of_a_run_in_every_bad_document(name: str, good: Path, tmp_path: Path) -> None:
    shutil.copytree(good, bad := tmp_path / "bad")
    for content in texts.DOCUMENTS.values():
        (bad / name).write_bytes(content)
        read_all(bad)
        runs, left_out = load_runs([bad, good])
        assert good.name in [found.name for found in runs] and len(runs) + len(left_out) == 2
    for kind in ("pipe.wav", "folder.wav", "loop.wav", "dev-zero.wav", "5-gb.wav"):
        (bad / name).rmdir() if (bad / name).is_dir() else (bad / name).unlink()
        recordings.KINDS[kind](bad / name)
        read_all(bad)
        assert load_runs([bad, good])[0]


@pytest.mark.parametrize("name", FILES)
def test_every_file_of_a_run_with_bad_values(name: str, good: Path, tmp_path: Path) -> None:
    """A value in place of each field, and each field missing."""
    shutil.copytree(good, bad := tmp_path / "bad")
    record = json.loads((good / name).read_text().splitlines()[0] if name in LINES else (good / name).read_text())
    for key in record:
        without = {k: v for k, v in record.items() if k != key}
        for changed in (without, *({**record, key: value} for value in texts.SMALL)):
            (bad / name).write_bytes(texts.line(changed))
            read_all(bad)
    assert len(load_runs([bad, good])[0]) <= 2


def test_results_with_bad_values_are_left_out_or_shown_and_stop_no_table(good: Path, tmp_path: Path) -> None:
    """Hundreds of directories beside a good one: each with another value in its result."""
    made = make_run(tmp_path / "made", "rw")
    result, scores = json.loads((made / "result.json").read_text()), (made / "scores.jsonl").read_bytes()
    others = {"notes", "judge", "similarity", "usage", "oracle", "metrics", "settings", "data", "device"}
    for key in {*result["audio_eval"], *others}:
        for name, value in texts.VALUES.items():
            (bad := tmp_path / "bad" / f"{key} {name}").mkdir(parents=True)
            (bad / "scores.jsonl").write_bytes(scores)
            block = {**result["audio_eval"], key: value}
            (bad / "result.json").write_bytes(texts.line({**result, "audio_eval": block}))
    runs, left_out = load_runs([tmp_path / "bad", good])
    assert good.name in [found.name for found in runs] and len(runs) > 30 and len(left_out) > 300
    assert all(len(said) < 1_000 and str(tmp_path / "bad") in said for said in left_out)
    with within():
        assert pages(aggregate(runs), left_out=left_out)


def test_kept_results_that_are_damaged_are_one_line(good: Path, tmp_path: Path) -> None:
    kept = Committed(tmp_path / "kept")
    kept.add(load_runs([good])[0])
    for path in (tmp_path / "kept" / "items.jsonl", tmp_path / "kept" / "results" / "mmar.jsonl"):
        whole = path.read_bytes()
        for content in texts.DOCUMENTS.values():
            path.write_bytes(content)
            run(kept.runs)
        path.write_bytes(whole)
    assert kept.runs()
