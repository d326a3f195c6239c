"""A run directory is written and read through the same classes; what is damaged or of another version is said so."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from audio_eval.errors import UserError
from audio_eval.runlog import ResponsesSpec, RunLog, RunSpec
from audio_eval.runlog.records import LabelRecord, Notes, QuestionRecord, ResponseRecord, Sitting, StepRecord
from audio_eval.runlog.result import VERSION, Result, ResultRow
from audio_eval.scoring.scores import Score

SPEC = RunSpec(model="tiny-omni", method="direct", method_args={}, task="synth_aqa", seed=3, limit=8)
RESPONSES = ResponsesSpec(task="synth_aqa", name="theirs", responses="ab" * 32)
ROW = ResultRow(
    model="m", method="direct", task="t", seed=0, samples=1, wall_s=0.5, accuracy=50.0, n=2, unparsable=0.0
)  # fmt: skip
RESULT = Result(
    results={"t": {"acc,none": 0.5}}, versions={"t": "1"}, n_shot={"t": 0}, higher_is_better={"t": {"acc": True}},
    n_samples={"t": {"original": 2, "effective": 2}}, config={"model": "m"}, audio_eval=ROW,
)  # fmt: skip


def question(id_: str) -> QuestionRecord:
    return QuestionRecord(
        id=id_, audio=None, audio_sha256=None, question="?", choices=("a", "b"), prompt="? a b", groups={"task": "x"}
    )


@pytest.mark.parametrize("spec", [SPEC, RESPONSES])
def test_a_spec_comes_back_as_what_it_was(spec: RunSpec | ResponsesSpec, tmp_path: Path) -> None:
    log = RunLog(tmp_path)
    assert not log.begun
    log.write_spec(spec)
    assert log.begun and not log.finished
    assert log.spec() == spec
    assert json.loads((tmp_path / "spec.json").read_text())["version"] == VERSION


def test_a_result_comes_back_under_lm_evals_keys(tmp_path: Path) -> None:
    log = RunLog(tmp_path)
    log.write_result(RESULT)
    assert log.finished and log.result() == RESULT
    written = json.loads((tmp_path / "result.json").read_text())
    assert {
        "version",
        "results",
        "versions",
        "n-shot",
        "higher_is_better",
        "n-samples",
        "config",
        "audio_eval",
        "checksum",
    } == set(written)


@pytest.mark.parametrize("name", ["spec.json", "result.json"])
@pytest.mark.parametrize(("version", "said"), [(None, "version 1"), (1, "version 1"), (99, "version 99")])
def test_another_version_is_refused_in_one_line_that_says_it(
    name: str, version: int | None, said: str, tmp_path: Path
) -> None:
    log = RunLog(tmp_path)
    log.write_spec(SPEC)
    log.write_result(RESULT)
    record = json.loads((tmp_path / name).read_text())
    record.pop("version")
    (tmp_path / name).write_text(json.dumps(record | ({} if version is None else {"version": version})))
    with pytest.raises(UserError, match=said) as caught:
        log.spec() if name == "spec.json" else log.result()
    assert "\n" not in str(caught.value) and str(tmp_path) in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"version": 2}', '{"version": 2, "model": 3}'])
@pytest.mark.parametrize("name", ["spec.json", "result.json"])
def test_a_damaged_file_is_named(name: str, text: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    log = RunLog(tmp_path)
    with pytest.raises(UserError):
        log.spec() if name == "spec.json" else log.result()


def test_lines_come_back_without_what_is_at_its_default(tmp_path: Path) -> None:
    log = RunLog(tmp_path)
    records = [
        ResponseRecord(id="1", response="a", samples=1.0),
        ResponseRecord(id="2", response="", samples=1.0, unreadable="no such file", truncated=True),
        ResponseRecord(id="3", response="b", samples=4.0, groups=((("b", 3), ("a", 1)),)),
    ]
    log.responses.append(records[:2])
    log.responses.append(records[2:])
    assert log.responses.read() == records
    first = json.loads((tmp_path / "responses.jsonl").read_text().splitlines()[0])
    assert first == {"id": "1", "response": "a", "samples": 1.0}


def test_a_damaged_line_is_named(tmp_path: Path) -> None:
    log = RunLog(tmp_path)
    log.responses.append([ResponseRecord(id="1", response="a")])
    with (tmp_path / "responses.jsonl").open("a") as file:
        file.write('{"id": 2}\n')
    with pytest.raises(UserError, match=r"responses\.jsonl.*record 2: id"):
        log.responses.read()


def test_steps_and_notes_hold_what_a_method_adds(tmp_path: Path) -> None:
    log = RunLog(tmp_path)
    log.steps.append([StepRecord(step=1, reward=0.5)])
    assert log.steps.read()[0].model_extra == {"reward": 0.5}
    log.write_notes(Notes(adapt_samples=3, stopped="after step 1"))
    assert log.notes().model_dump(exclude_defaults=True) == {"adapt_samples": 3, "stopped": "after step 1"}


def test_samples_join_everything_that_is_known_of_an_item(tmp_path: Path) -> None:
    log = RunLog(tmp_path)
    log.questions.keep([question("1"), question("2")])
    assert [(sample.gold, sample.response, sample.score) for sample in log.samples()] == [(None, None, None)] * 2
    label = LabelRecord(
        id="1", choice=0, label="a", confidence=0.75, tally={"a": 3, "b": 1}, unparsable=0, entropy=0.8, agreement=1.0
    )
    answer = ResponseRecord(id="1", response="a", samples=4.0, groups=((("a", 4),),))
    score = Score(id="1", answer="a", outcome="correct", answered=True, why="option text", choice=0)
    log.labels.append([label])
    log.responses.append([answer])
    log.scores.keep([score])
    one, two = log.samples()
    assert (one.question.id, one.gold, one.response, one.score, one.label) == ("1", "a", answer, score, label)
    assert one.completions == ((("a", 4),),)
    assert (two.question.id, two.gold, two.response, two.score, two.label, two.completions) == (
        "2", None, None, None, None, (),
    )  # fmt: skip


LABEL = {"id": "1", "choice": 0, "label": "a", "confidence": 0.75, "tally": {"a": 3, "b": 1}, "unparsable": 0,
         "entropy": 0.8, "agreement": 0.5}  # fmt: skip
RELABEL = {**LABEL, "step": 1, "indices": {"0": 3, "1": 1}}


def test_the_confidence_of_an_item_is_that_of_the_vote_that_counts(tmp_path: Path) -> None:
    log = RunLog(tmp_path)
    assert log.confidences() == {}, "nothing was voted on"
    log.responses.append([ResponseRecord(id="1", response="a", confidence=0.25), ResponseRecord(id="2", response="b")])
    assert log.confidences() == {"1": 0.25}, "the answer's own vote"
    log.write_spec(SPEC)
    log.relabels.file.append([RELABEL | {"confidence": 0.1}, RELABEL | {"step": 2}])
    assert log.confidences() == {"1": 0.75}, "the last of the labels that are renewed"
    log.labels.append([LabelRecord(**LABEL)])
    log.write_spec(SPEC.model_copy(update={"method_args": {"confidence": "agreement"}}))
    assert log.confidences() == {"1": 0.5}, "where the method takes the views that agree as its confidence"


def test_a_sitting_is_logged_even_when_it_is_interrupted(tmp_path: Path) -> None:
    log = RunLog(tmp_path)
    with pytest.raises(KeyboardInterrupt), log.sitting():
        raise KeyboardInterrupt
    (sitting,) = log.sittings.read()
    assert isinstance(sitting, Sitting) and 0 <= sitting.seconds < 1


ROLLOUT = {"step": 1, "id": "1", "choices": ["a"], "label": "a", "completions": [["a", 4, 4, 1.0], ["b", 1, 0, None]]}
DEEP = {"a": {"b": 1}}


@pytest.mark.parametrize(
    ("name", "record", "changes"),
    [
        ("labels", LABEL, [{"confidence": DEEP}, {"confidence": "nan"}, {"tally": {"a": None}}, {"choice": "a"}]),
        ("relabels", RELABEL, [{"confidence": DEEP}, {"confidence": "inf"}, {"indices": {"a": 1}}, {"step": None}]),
        ("rollouts", ROLLOUT, [{"completions": [["a", 0, 0, 1.0]]}, {"completions": [["a"]]}, {"choices": 5}]),
        ("oracle", {"step": 1, "pass": 0.5}, [{"step": "x"}, {"pass": None}, {"pass": []}]),
        ("steps", {"step": 1, "reward": 0.5}, [{"step": [1]}, {"reward": "much"}]),
        ("curve", {"step": 0, "accuracy": 1.0, "unparsable": 0.0}, [{"accuracy": DEEP}, {"outcomes": 5}]),
    ],
)  # fmt: skip
def test_a_record_that_is_none_is_named(name: str, record: Any, changes: list[Any], tmp_path: Path) -> None:
    """Whatever a stranger wrote into a file of lines; its owner cuts it back to what is before."""
    without = [
        {key: value for key, value in record.items() if key != gone} for gone in ("step", "id") if gone in record
    ]
    for bad in (*without, *({**record, **change} for change in changes)):
        file = getattr(RunLog(tmp_path), name)
        file.path.unlink(missing_ok=True)
        file.file.append([record, bad])
        with pytest.raises(UserError, match=rf"'{file.path}' is damaged: record 2: ") as caught:
            file.read()
        assert "\n" not in str(caught.value)
        if name in ("labels", "relabels", "rollouts"):
            assert any(f"'{file.path}' was damaged in line 2" in said for said in RunLog(tmp_path).mend())
            assert len(file.read()) == 1


def test_a_pipe_in_it_is_refused_before_it_is_opened(tmp_path: Path) -> None:
    (tmp_path / "adapt").mkdir()
    os.mkfifo(tmp_path / "adapt" / "adapter_full.safetensors")
    with pytest.raises(UserError, match=r"adapter_full.safetensors' is a link .* or no file"):
        RunLog(tmp_path).refuse_links()
