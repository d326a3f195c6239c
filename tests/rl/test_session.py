"""Session: what a method gets of its run. That training goes on after a kill is in tests/rl/test_loop.py."""

from __future__ import annotations

import dataclasses
import inspect
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from audio_eval.group import Group
from audio_eval.models.policy import Sampling
from audio_eval.progress import Progress
from audio_eval.prompts import PromptTemplate
from audio_eval.questions import Question
from audio_eval.rl.meter import Meter, metered
from audio_eval.rl.session import Session
from audio_eval.store import JsonLines, read_json
from audio_eval.task import load_task
from tests.rl.fake_policy import FakePolicy, make_question
from tests.runs.conftest import NAME

QUESTIONS = [make_question(str(i)) for i in range(7)]
SAMPLING = Sampling(n=4, temperature=1.0, stream="vote")


def script(question, sampling):
    return {question.id: 3, "other": 1}


def test_no_way_to_the_answers() -> None:
    """By type: a Question has no field for an answer, a Session is not given the task."""
    assert {field.name for field in dataclasses.fields(Question)} == {
        "id", "audio", "more_audio", "question", "choices", "prompt", "tokens", "groups", "paraphrases", "template",
    }  # fmt: skip
    assert {field.name for field in dataclasses.fields(PromptTemplate)} == {"name", "source"}
    assert set(inspect.signature(PromptTemplate.render).parameters) == {"self", "question", "choices"}
    assert set(inspect.signature(Session).parameters) == {
        "folder", "seed", "batch_size", "examples", "progress", "observer", "save_every", "meter",
    }  # fmt: skip
    assert not any("answer" in name for name in vars(Session(Path("x"), 0, 4)))


def test_neither_paraphrases_nor_template_tell_the_answer() -> None:
    """One template for all items; and the same wordings for all items that are asked alike, whatever their answers."""
    task = load_task(NAME)
    assert all(question.template is task.prompt for question in task.questions)
    wordings: dict[str, set[frozenset[str]]] = defaultdict(set)
    answers: dict[str, set[str]] = defaultdict(set)
    for question in task.questions:
        assert question.question not in question.paraphrases
        wordings[question.question].add(frozenset(question.paraphrases))
        answers[question.question].add(task.answers[question.id])
    assert any(question.paraphrases for question in task.questions)
    assert all(len(known) == 1 for known in wordings.values())
    several = sum(len(known) > 1 for known in answers.values())
    assert several > len(answers) / 2, "most wordings are asked with several answers: a hint in them would show"


def generate(folder: Path, policy: FakePolicy, questions: list[Question] = QUESTIONS) -> tuple[list[Group], Meter]:
    meter = Meter()
    session = Session(folder, 0, 3, meter=meter)
    return session.generate("votes", metered(policy, meter, 0), questions, SAMPLING), meter


def test_generate_keeps_what_was_sampled_batch_by_batch(tmp_path: Path) -> None:
    groups, meter = generate(tmp_path, FakePolicy(script))
    assert [group.question for group in groups] == QUESTIONS and meter.samples == 28
    assert [record["id"] for record in JsonLines(tmp_path / "adapt" / "votes.jsonl").read()] == list("0123456")
    again = FakePolicy(script)
    read, meter = generate(tmp_path, again)
    assert read == groups
    assert again.asked == [] and meter.samples == 28, "nothing is sampled twice, and all of it is counted"


def test_generate_redoes_at_most_one_batch(tmp_path: Path) -> None:
    whole, _ = generate(tmp_path / "whole", FakePolicy(script))
    generate(tmp_path, FakePolicy(script), QUESTIONS[:5])
    with (tmp_path / "adapt" / "votes.jsonl").open("a") as stream:
        stream.write('{"id": "5", "comple')
    policy = FakePolicy(script)
    groups, meter = generate(tmp_path, policy)
    assert groups == whole and meter.samples == 28
    assert [id_ for id_, _ in policy.asked] == ["3", "4", "5", "6"]
    assert (tmp_path / "adapt/votes.jsonl").read_bytes() == (tmp_path / "whole/adapt/votes.jsonl").read_bytes()


def test_what_failed_is_asked_again_and_nothing_else(tmp_path: Path) -> None:
    class Flaky(FakePolicy):
        def generate(self, questions: Sequence[Question], sampling: Sampling) -> list[Group]:
            groups = super().generate(questions, sampling)
            return [Group(g.question, (), (), "timeout") if g.question.id in ("1", "6") else g for g in groups]

    whole, _ = generate(tmp_path / "whole", FakePolicy(script))
    _, meter = generate(tmp_path, Flaky(script))
    assert meter.failed == {"1": "timeout", "6": "timeout"} and meter.samples == 20
    again = FakePolicy(script)
    groups, meter = generate(tmp_path, again)
    assert [id_ for id_, _ in again.asked] == ["1", "6"]
    assert groups == whole and meter == Meter(28)
    assert (tmp_path / "adapt/votes.jsonl").read_bytes() == (tmp_path / "whole/adapt/votes.jsonl").read_bytes()


def test_what_failed_before_a_checkpoint_stays_as_it_was(tmp_path: Path) -> None:
    """The steps since then were made without it."""
    meter, policy = Meter(), Hearing(script)
    session = Session(tmp_path, 0, 3, meter=meter)
    for step in session.steps(policy, 3):
        before = len(policy.asked)
        session.generate("rates", metered(policy, meter, 0), QUESTIONS, SAMPLING)
        assert len(policy.asked) - before == (len(QUESTIONS) if step == 0 else 0)
        session.step_done(policy, step + 1, 3, {})


@pytest.mark.parametrize("damage", [b"\x00\x01", b'{"id": "4", "completions": 3}\n', b"[]\n", b"\xff\xfe\n"])
def test_damage_in_the_middle_is_cut_back_said_and_done_again(damage: bytes, tmp_path: Path) -> None:
    whole, _ = generate(tmp_path / "whole", FakePolicy(script))
    generate(tmp_path, FakePolicy(script))
    file = tmp_path / "adapt" / "votes.jsonl"
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join([*lines[:4], damage, *lines[5:]]))
    said: list[str] = []
    progress = Progress()
    progress.warn = said.append  # type: ignore[method-assign]
    policy = FakePolicy(script)
    session = Session(tmp_path, 0, 3, progress=progress)
    assert session.generate("votes", policy, QUESTIONS, SAMPLING) == whole
    assert [id_ for id_, _ in policy.asked] == ["3", "4", "5", "6"], "the batch that was damaged, and those after it"
    assert len(said) == 1 and "votes.jsonl' was damaged in line 5" in said[0]
    assert file.read_bytes() == (tmp_path / "whole/adapt/votes.jsonl").read_bytes()


class Hearing(FakePolicy):
    """Hears two seconds of each recording, and cannot read the last one."""

    def generate(self, questions: Sequence[Question], sampling: Sampling) -> list[Group]:
        groups = super().generate(questions, sampling)
        return [
            Group(g.question, (), (), "gone") if g.question.id == "6" else replace(g, truncated=True, audio_seconds=2.0)
            for g in groups
        ]


def test_what_was_read_back_is_as_it_was_sampled(tmp_path: Path) -> None:
    groups, meter = generate(tmp_path, Hearing(script))
    assert meter == Meter(24, 12.0, set("012345"), {"6": "gone"})
    assert generate(tmp_path, Hearing(script)) == (groups, meter)


def test_samples_that_a_checkpoint_has_counted_are_not_counted_again(tmp_path: Path) -> None:
    """A method may sample in the middle of its steps, as a curriculum does."""
    for resumed in (False, True):
        meter, policy = Meter(), Hearing(script)
        session = Session(tmp_path, 0, 3, meter=meter)
        for step in session.steps(policy, 2 if resumed else 1):
            session.generate("rates", metered(policy, meter, 0), QUESTIONS, SAMPLING)
            session.step_done(policy, step + 1, 2, {})
        assert meter == Meter(24, 12.0, set("012345"), {"6": "gone"}), "but what was wrong with them is known"


def test_a_checkpoint_that_was_not_finished_does_not_count(tmp_path: Path) -> None:
    session, policy = Session(tmp_path, 0, 3), FakePolicy(script)
    for step in session.steps(policy, 2):
        policy.updates += 1
        session.step_done(policy, step + 1, 2, {"reward": 1.0})
    assert read_json(tmp_path / "adapt/step-000002/state.json")["step"] == 2
    # a kill in the middle of the next: its folder is still a temporary one; and one before the old was removed in part
    policy.save(tmp_path / "adapt" / "step-000003.tmp")
    (tmp_path / "adapt" / "step-000001" / "state.json").unlink()
    session, policy = Session(tmp_path, 0, 3), FakePolicy(script)
    for step in session.steps(policy, 3):
        assert (step, policy.updates) == (2, 2)
        session.step_done(policy, step + 1, 3, {"reward": 1.0})
    assert sorted(path.name for path in (tmp_path / "adapt").iterdir()) == ["step-000002", "step-000003"]


def test_metrics_are_numbers_rounded_alike(tmp_path: Path) -> None:
    session, policy = Session(tmp_path, 0, 3), FakePolicy(script)
    for step in session.steps(policy, 1):
        session.step_done(policy, step + 1, 1, {"a": 1 / 3, "b": 2})
    assert (tmp_path / "metrics.jsonl").read_text() == '{"step": 1, "a": 0.333333, "b": 2.0}\n'


@pytest.mark.parametrize("value", [3, {"a": [1]}])
def test_notes(value: object, tmp_path: Path) -> None:
    session = Session(tmp_path, 0, 3)
    session.note("skipped", value)
    assert session.notes == {"skipped": value}
