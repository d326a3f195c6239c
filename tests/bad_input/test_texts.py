"""Bad texts, and bad values in good ones: what they are read for is read, or refused in one line with the place."""

from __future__ import annotations

import json
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audio_eval import prompts
from audio_eval.data import FEATURES, OFFICIAL, Files, Place, read_rows
from audio_eval.data.sources import convert_rows
from audio_eval.errors import UserError
from audio_eval.json_text import MAX_DEPTH, BadJson, parse, parse_list
from audio_eval.leaderboard import load_runs
from audio_eval.runs.external import read_responses
from audio_eval.runs.plan import plan
from audio_eval.task import Task, load_task
from audio_eval.task_index import listing
from audio_eval.tasks.mmar.data import TEST
from tests.bad_input import recordings, texts
from tests.bad_input.limits import outcome, run

OFFICIAL_MMAR = TEST.named[OFFICIAL]
assert isinstance(OFFICIAL_MMAR, Files)


def metadata(folder: Path, content: bytes) -> str | None:
    """What MMAR's reader says of a file of this content; None where it reads it."""
    path = folder / "mmar" / "MMAR-meta.jsonl"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    said = run(lambda: TEST(data_dir=str(folder)))
    assert said is None or "MMAR-meta.jsonl" in said or "holds no items" in said, said
    return said


def test_metadata_of_every_bad_document(tmp_path: Path) -> None:
    said = {name: metadata(tmp_path, content) for name, content in texts.DOCUMENTS.items()}
    assert all(said.values()), "none of them is MMAR's"
    assert "line 1: it is not UTF-8" in str(said["latin1"]) and "UTF-16" in str(said["utf16"])
    assert "line 1: is not a JSON object: it is nested deeper than 64" in str(said["deep-100000"])
    assert "line 1: is not a JSON object: it holds an integer of 5000 digits" in str(said["5000-digits"])


@pytest.mark.parametrize("key", texts.ROW)
def test_metadata_with_every_bad_value(key: str, tmp_path: Path) -> None:
    assert metadata(tmp_path, texts.line(texts.ROW)) is None
    for name, value in texts.VALUES.items():
        said = metadata(tmp_path, texts.line(texts.ROW) + texts.line({**texts.ROW, "id": "r2", key: value}))
        assert said is None or "line 2" in said, (name, said)
        if name in ("surrogate", "million", "60000", "big", "deep", "65 bits", "object", "path", "key", "numbers"):
            assert said, name
    assert metadata(tmp_path, texts.line({k: v for k, v in texts.ROW.items() if k != key})), "it is missing"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    (folder / "mmar").mkdir()
    (folder / "mmar" / "MMAR-meta.jsonl").write_bytes(texts.line(texts.ROW))
    return folder


@pytest.fixture(scope="module")
def mmar(data: Path) -> Task:
    return load_task("mmar", data_dir=str(data))


def test_responses_in_every_bad_document_and_with_every_bad_value(mmar: Task, tmp_path: Path) -> None:
    path = tmp_path / "responses.jsonl"
    for name, content in texts.DOCUMENTS.items():
        path.write_bytes(content)
        said = run(lambda: read_responses(path, mmar))
        assert said is not None and str(path) in said, name
    for key in ("id", "response"):
        for name, value in texts.VALUES.items():
            row = {"id": "r1", "response": "a dog", key: value}
            for content in (texts.line(row), b"[" + texts.line(row) + b"]"):
                path.write_bytes(content)
                said = run(lambda: read_responses(path, mmar))
                assert said is None or str(path) in said, (name, said)
    for name, write in recordings.KINDS.items():  # a pipe, a device, gigabytes
        write(tmp_path / name)
        assert run(lambda: list(read_rows(tmp_path / name))) or name.startswith(("dev-null", "proc", "5-gb"))


def test_every_bad_run_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("audio_eval.runs.plan.listing", lru_cache(listing))
    path = tmp_path / "run.yaml"
    plan({"model": "tiny-omni", "method": "direct", "tasks": "synth_aqa"})  # imports are no part of a case's seconds
    for content in texts.RUN_FILES:
        path.write_bytes(content)
        found = outcome(lambda: plan({}, str(path)))
        if isinstance(found, str):
            continue
        for spec in found:  # what is taken can be written down and read again
            assert json.loads(json.dumps(spec.model_dump(), allow_nan=False)) == spec.model_dump(mode="json")
    for name in ("pipe.wav", "folder.wav", "dev-zero.wav", "5-gb.wav"):
        recordings.KINDS[name](tmp_path / name)
        assert "cannot be read" in str(run(lambda: plan({}, str(tmp_path / name))))


def test_one_bad_task_file_stops_no_other(data: Path, tmp_path: Path) -> None:
    for number, content in enumerate(texts.YAML):
        (tmp_path / f"{number}.yaml").write_bytes(content)
    (tmp_path / "folder.yaml").mkdir()
    recordings.KINDS["pipe.wav"](tmp_path / "pipe.yaml")
    (tmp_path / "good.yaml").write_text("task: good\nmetadata: {description: mine}\n")
    found = outcome(lambda: listing(str(tmp_path)))
    assert not isinstance(found, str)
    assert found.tasks["good"] == {"description": "mine"} and "synth_aqa" in found.tasks
    assert len(found.broken) > 20 and all(str(tmp_path) in reason for reason in found.broken.values())
    assert load_task("mmar", data_dir=str(data), include_path=str(tmp_path)).questions
    assert "Left out: task file" in str(run(lambda: found.expand(["mine"])))


@pytest.mark.parametrize(
    "text",
    [
        "task: bad\n",
        "task: bad\ncustom_dataset: !function nowhere.build\n",
        "task: bad\ncustom_dataset: 5\ntest_split: test\n",
        "task: bad\ninclude: bad.yaml\n",
        "task: bad\ndataset_path: 5\ntest_split: test\n",
        "task: bad\noutput_type: [a]\n",
        "task: bad\nmetadata: {official: nosuch}\n",
        "task: bad\nmetadata: {scoring: nosuch}\n",
    ],
)
def test_a_bad_task_that_is_asked_for_is_one_line(text: str, tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text(text)
    assert "bad" in str(run(lambda: load_task("bad", include_path=str(tmp_path))))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe",
        "caf\u00e9".encode("latin-1"),
        b"{{",
        b"{% for %}",
        b"{{ nosuch }}",
        b"{{ question.nosuch }}",
        b"{{ 1 / 0 }}",
        b"{{ choices[99] }}",
        b"{% include 'x' %}",
        b"{% extends 'x' %}",
        b"{{ ''.__class__ }}",
        b"{% set x = 1",
        b"{{ question | nosuch }}",
        bytes(100),
    ],
)
def test_a_bad_template_is_one_line(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.jinja"
    path.write_bytes(content)
    found = outcome(lambda: prompts.find(str(path)).render("question", ["a", "b"]))
    assert isinstance(found, str)


def test_json_is_bounded() -> None:
    deepest = "[" * MAX_DEPTH + "]" * MAX_DEPTH
    assert parse(deepest) and parse(f'{{"a": {2**63 - 1}, "b": {-(2**63)}}}') == {"a": 2**63 - 1, "b": -(2**63)}
    assert parse(b'{"a": 0.12345678901234567890123, "b": "\\ud83d\\ude00"}')["b"] == "\U0001f600"
    for text in (f"[{deepest}]", f"[{2**63}]", '["\\ud800"]', '{"\\udfff": 1}', "[1", "1" * 5_000):
        with pytest.raises(BadJson):
            parse(text)
    assert parse('["\\ud800"]', texts=False) == ["\ud800"], "of our own files, which may name a file so"
    good, bad = parse_list('[{"a": 1}, {"a": "\\ud800"}]') or ()
    assert good == {"a": 1} and isinstance(bad, BadJson)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text("ab\0\n\ud800\u00e9\U0001f600", max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["", "path", "id"]), inner, max_size=4),
    max_leaves=8,
)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_json_or_a_reason(data: bytes) -> None:
    with suppress(BadJson):
        json.dumps(parse(data), ensure_ascii=False).encode()


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(sorted(texts.ROW)), JSON)
def test_any_value_in_a_row_is_a_record_or_a_problem_with_its_line(key: str, value: Any) -> None:
    rows = [(Place("line", 7), {**texts.ROW, key: value})]
    found = outcome(lambda: convert_rows(rows, Path("/data"), OFFICIAL_MMAR.convert, "x"))
    assert "line 7: " in found if isinstance(found, str) else FEATURES.keys() == found[0].keys()


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        ({"device": "tpu"}, "device: .* match"),
        ({"source": "nosuch"}, "nosuch"),
        ({"train_task": "nosuch"}, "unknown task 'nosuch'"),
        ({"adapt_task": "nosuch:train"}, "unknown task 'nosuch'"),
        ({"tasks": ","}, "--tasks names nothing"),
        ({"method": ","}, "--method names nothing"),
        ({"seed": ","}, "--seed names nothing"),
        ({"seed": 2**64}, "seed: .*64 bits"),
        ({"prompt": "a\0b"}, "unknown prompt"),
        ({"method": "ttrl", "method_args": "lr=.inf"}, r"lr=\.inf. is no plain number"),
        ({"method": "ttrl", "method_args": "temperature=1e-300"}, "temperature: .*0.01"),
        ({"model_args": "cache_gb=.nan"}, r"cache_gb=\.nan. is no plain number"),
        ({"data_dir": "a\0b"}, "data_dir: .*nul"),
        ({"tasks": "mmar", "source": "BoJack/MMA"}, "Did you mean 'BoJack/MMAR'"),
    ],
)
def test_flags_that_mean_nothing(flags: dict[str, Any], says: str) -> None:
    with pytest.raises(UserError, match=says):
        plan({"model": "tiny-omni", "tasks": "synth_aqa", **flags})


def test_flags_that_nothing_reads_but_that_exist_are_taken() -> None:
    flags = {"model": "tiny-omni", "tasks": "synth_aqa,mmar", "source": "official, BoJack/MMAR", "train_task": "same"}
    assert len(plan(flags)) == 2


def test_a_folder_that_holds_far_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(4):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "x.yaml").write_text(f"task: t{number}\n")
        (tmp_path / str(number) / "of-others.yaml").write_text("a: " + "x" * 1_000)
    monkeypatch.setattr("audio_eval.task_index.MAX_TEXT", 50)
    assert "t3" in listing(str(tmp_path)).tasks, "YAML that defines no task does not count"
    monkeypatch.setattr("audio_eval.task_index.MAX_TEXT", 20)
    assert "name the folder of your own" in str(run(lambda: listing(str(tmp_path))))
    monkeypatch.setattr("audio_eval.regular.MAX_FOLDERS", 3)
    assert "more than 3 folders" in str(run(lambda: load_runs([tmp_path])))


def test_more_labels_than_a_result_can_hold_are_said_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "mmar").mkdir()
    rows = [{**texts.ROW, "id": f"r{number}", "category": f"a label of item {number}"} for number in range(700)]
    (tmp_path / "mmar" / "MMAR-meta.jsonl").write_bytes(b"".join(map(texts.line, rows)))
    assert "702 different labels in " in str(run(lambda: load_task("mmar", data_dir=str(tmp_path))))
    assert load_task("mmar", data_dir=str(tmp_path), limit=300)
