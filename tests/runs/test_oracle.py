"""The oracle: what only the answers can tell of an adaptation, by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from audio_eval.methods.ttrl import Config as TtrlConfig
from audio_eval.methods.ttrl import Ttrl
from audio_eval.methods.view_ttrl import Config as ViewTtrlConfig
from audio_eval.methods.view_ttrl import ViewTtrl
from audio_eval.models.policy import Sampling
from audio_eval.prompts import PromptTemplate
from audio_eval.questions import Question
from audio_eval.rl.experience import Experience
from audio_eval.rl.session import Session
from audio_eval.runs.oracle import NAMES, of_labels, of_rollouts
from audio_eval.store import JsonLines
from audio_eval.task import Task
from tests.rl.fake_policy import Drawn, FakePolicy, make_group, make_question, tagged
from tests.rl.test_views import TEMPLATE, viewable

ANIMALS = ("cat", "dog", "owl")
Row = tuple[str, int, int, float | None]  # text, times drawn, times learnt from, how right it was taken to be


def make_task(answers: Mapping[str, str], choices: tuple[str, ...] = ANIMALS) -> Task:
    questions = [viewable(id_, choices) for id_ in answers]
    return Task("animals", "test", PromptTemplate("test", TEMPLATE.source), questions, dict(answers), {}, [], {})


def record(step: int, id: str, rows: Sequence[Row], label: str | None = None, choices: Sequence[str] = ANIMALS) -> Any:
    """A line of ``rollouts.jsonl``."""
    return {"step": step, "id": id, "choices": list(choices), "label": label, "completions": [list(r) for r in rows]}


def one(rows: Sequence[Row], answer: str = "dog", **more: Any) -> dict[str, float]:
    """Of a step with a single question."""
    (found,) = of_rollouts(make_task({"q": answer}), [record(1, "q", rows, **more)])
    assert found.pop("step") == 1
    return found


# --- rollouts --------------------------------------------------------------------------------------------------------


def test_a_step_by_hand() -> None:
    task = make_task({"a": "dog", "b": "cat"})
    found = of_rollouts(task, [
        # labelled right; all four judged as they are; three right
        record(1, "a", [(tagged("dog"), 3, 3, 1.0), (tagged("cat"), 1, 1, 0.0)], "dog"),
        # labelled wrong: 2 of 4 wrong taken for right, 1 right for wrong, only the silent one is judged as it is
        record(1, "b", [(tagged("dog"), 2, 2, 1.0), ("It is a cat.", 1, 1, 0.0), ("no idea", 1, 1, 0.0)], "dog"),
        record(2, "a", [("owl", 4, 4, 0.0)], "dog"),
    ])  # fmt: skip
    assert found == [
        {"step": 1, "label_accuracy": 0.5, "reward_accuracy": (1 + 1 / 4) / 2, "ground_truth_ratio": 0.5, "pass": 1.0},
        {"step": 2, "label_accuracy": 1.0, "reward_accuracy": 1.0, "ground_truth_ratio": 0.0, "pass": 0.0},
    ]
    assert set(found[0]) == {"step", *NAMES}


def test_means_are_over_questions_not_over_samples() -> None:
    task = make_task({"a": "dog", "b": "dog"})
    rows = [record(1, "a", [("dog", 1, 1, 1.0)]), record(1, "b", [("cat", 9, 9, 1.0)])]
    assert of_rollouts(task, rows) == [
        {"step": 1, "reward_accuracy": 0.5, "ground_truth_ratio": 0.5, "pass": 0.5}
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("judged", "text", "agrees"),
    [
        (1.0, "dog", True),
        (0.99995, "dog", True),
        (0.9998, "dog", False),
        (0.5, "dog", False),
        (0.0, "cat", True),
        (0.00005, "cat", True),
        (0.0002, "cat", False),
        (-1.0, "cat", False),
    ],
)
def test_a_reward_is_right_within_one_in_ten_thousand(judged: float, text: str, agrees: bool) -> None:
    assert one([(text, 1, 1, judged)])["reward_accuracy"] == float(agrees)


def test_what_was_learnt_from_where_it_is_a_part() -> None:
    rows: list[Row] = [(tagged("dog"), 4, 1, 1.0), ("cat", 2, 1, 0.0), ("no idea", 1, 0, 0.0), ("owl", 1, 0, 1.0)]
    assert one(rows, label="dog") == pytest.approx(
        {
            "label_accuracy": 1.0,
            "reward_accuracy": 7 / 8, "ground_truth_ratio": 4 / 8, "pass": 1.0,
            "post_reward_accuracy": 2 / 2, "post_ground_truth_ratio": 1 / 2, "post_pass": 1.0,
        }
    )  # fmt: skip


def test_what_was_learnt_from_may_miss_the_right_one() -> None:
    found = one([("dog", 1, 0, 1.0), ("cat", 7, 2, 1.0)])
    assert (found["pass"], found["post_pass"]) == (1.0, 0.0)
    assert (found["reward_accuracy"], found["post_reward_accuracy"]) == (1 / 8, 0.0)


@pytest.mark.parametrize("learnt", [(3, 1), (0, 0)])
def test_all_or_nothing_learnt_from_is_no_part(learnt: tuple[int, int]) -> None:
    found = one([("dog", 3, learnt[0], 1.0), ("cat", 1, learnt[1], 0.0)])
    assert not any(name.startswith("post_") for name in found)


def test_a_mean_is_over_the_questions_that_have_the_figure() -> None:
    task = make_task({"a": "dog", "b": "dog", "c": "dog"})
    (found,) = of_rollouts(task, [
        record(1, "a", [("dog", 2, 1, 1.0)], "dog"),
        record(1, "b", [("cat", 2, 2, 0.0)], None),
        record(1, "c", [("cat", 1, 1, None), ("dog", 1, 1, None)], "cat"),
    ])  # fmt: skip
    assert found == {
        "step": 1, "label_accuracy": 0.5, "reward_accuracy": 1.0, "ground_truth_ratio": 0.5, "pass": 0.666667,
        "post_reward_accuracy": 1.0, "post_ground_truth_ratio": 1.0, "post_pass": 1.0,
    }  # fmt: skip


def test_samples_that_were_not_judged_are_no_part_of_the_rewards_accuracy() -> None:
    found = one([("dog", 3, 3, 1.0), ("cat", 1, 1, 1.0), ("owl", 9, 9, None)])
    assert found == {"reward_accuracy": 3 / 4, "ground_truth_ratio": 0.230769, "pass": 1.0}


def test_items_without_a_published_answer_are_left_out() -> None:
    task = make_task({"known": "dog", "hidden": ""})
    rows: list[Row] = [("cat", 1, 1, 1.0)]
    found = of_rollouts(task, [
        record(1, "known", [("dog", 1, 1, 1.0)]), record(1, "hidden", rows), record(1, "of another task", rows),
        record(1, "known", []),  # could not be asked
        record(2, "hidden", rows),
    ])  # fmt: skip
    assert found == [{"step": 1, "reward_accuracy": 1.0, "ground_truth_ratio": 1.0, "pass": 1.0}]
    assert of_rollouts(make_task({"q": ""}), [record(1, "q", rows)]) == of_rollouts(task, []) == []


def test_an_item_of_another_task_with_the_same_id_is_left_out() -> None:
    task = make_task({"0": "dog"})
    assert of_rollouts(task, [record(1, "0", [("yes", 1, 1, 1.0)], "yes", ("yes", "no"))]) == []


def test_steps_come_in_order() -> None:
    rows = [record(step, "q", [("dog", 1, 1, 1.0)]) for step in (10, 2, 2, 1)]
    assert [found["step"] for found in of_rollouts(make_task({"q": "dog"}), rows)] == [1, 2, 10]


def test_options_in_another_order_are_scored_as_they_were_shown() -> None:
    """A letter means another option in each view; the label is a text."""
    rows: list[Row] = [("A", 3, 3, 1.0), ("B", 1, 1, 0.0)]
    assert one(rows, label="dog", choices=("dog", "owl", "cat"))["ground_truth_ratio"] == 3 / 4
    assert one(rows, label="dog", choices=("owl", "dog", "cat"))["ground_truth_ratio"] == 1 / 4
    assert one(rows, label="dog", choices=("owl", "cat", "dog"))["ground_truth_ratio"] == 0
    assert one(rows, label="dog", choices=("owl", "cat", "dog"))["label_accuracy"] == 1


def test_of_options_with_the_same_text_each_is_the_answer() -> None:
    task = make_task({"q": "cat"}, ("dog", "cat", "Cat."))
    (found,) = of_rollouts(task, [record(1, "q", [("B", 1, 1, 1.0), ("C", 1, 1, 1.0)], "Cat.", ("dog", "cat", "Cat."))])
    assert found == {"step": 1, "label_accuracy": 1, "reward_accuracy": 1, "ground_truth_ratio": 1, "pass": 1}


def test_open_answers_are_right_where_they_contain_the_answer() -> None:
    task = make_task({"q": "a barking dog"}, ())
    rows: list[Row] = [("I hear a barking dog there.", 1, 1, 0.9), ("<answer>A cat</answer>", 3, 3, 0.0)]
    (found,) = of_rollouts(task, [record(1, "q", rows, "It is a barking dog.", ())])
    assert {name: value for name, value in found.items() if not name.startswith("aux_")} == {
        "step": 1, "label_accuracy": 1, "reward_accuracy": 3 / 4, "ground_truth_ratio": 1 / 4, "pass": 1,
    }  # fmt: skip
    # ROUGE-L: 3 of 6 words and all 3, F 2/3; "a" of 2 and of 3, F 2/5, three times. Words: 6, and 2 three times.
    assert (found["aux_rouge_l"], found["aux_exact"], found["aux_words"]) == (
        pytest.approx((2 / 3 + 3 * 2 / 5) / 4, abs=1e-6), 0, 3,
    )  # fmt: skip
    assert 0 < found["aux_bleu"] < 1
    (found,) = of_rollouts(task, [record(1, "q", rows, "a dog", ())])
    assert found["label_accuracy"] == 0


# --- labels ----------------------------------------------------------------------------------------------------------


def label(id: str, text: str | None, confidence: float) -> dict[str, Any]:
    return {"id": id, "label": text, "confidence": confidence}


def bins(confidences: Sequence[float], right: Sequence[bool]) -> list[tuple[int, float | None]]:
    """(n, accuracy) of each bin."""
    task = make_task({str(i): "dog" for i in range(len(right))})
    rows = [label(str(i), "dog" if r else "cat", c) for i, (c, r) in enumerate(zip(confidences, right, strict=True))]
    found = of_labels(task, rows)
    assert found is not None
    assert [(b["from"], b["to"]) for b in found["reliability"]] == [
        (0.0, 0.2), (0.2, 0.4), (0.4, 0.6), (0.6, 0.8), (0.8, 1.0),
    ]  # fmt: skip
    return [(b["n"], b["accuracy"]) for b in found["reliability"]]


def test_labels_by_hand() -> None:
    task = make_task({"a": "dog", "b": "cat", "c": "owl", "mute": "dog", "hidden": ""})
    found = of_labels(task, [
        label("a", "dog", 1.0), label("b", "dog", 0.9), label("c", "owl", 0.3), label("mute", None, 0.0),
        label("hidden", "dog", 1.0), label("of another task", "dog", 1.0),
    ])  # fmt: skip
    assert found is not None
    assert (found["label_accuracy"], found["labelled"]) == (66.6667, 3)
    assert [(b["n"], b["accuracy"]) for b in found["reliability"]] == [
        (0, None), (1, 100.0), (0, None), (0, None), (2, 50.0),
    ]  # fmt: skip


def test_bins_of_confidence() -> None:
    assert bins([0.05, 0.19, 0.21, 0.5, 0.61, 0.79, 0.95], [True, False, True, False, True, True, False]) == [
        (2, 50.0), (1, 100.0), (1, 0.0), (2, 100.0), (1, 0.0),
    ]  # fmt: skip


def test_full_confidence_is_in_the_last_bin() -> None:
    assert bins([1.0, 1.0, 0.8], [True, True, False]) == [(0, None)] * 4 + [(3, 66.67)]


@pytest.mark.parametrize(
    ("confidence", "place"),
    [
        (0.0, 0),
        (1 / 5, 1),
        (2 / 5, 2),
        (3 / 5, 3),
        (4 / 5, 4),
        (1.0, 4),
    ],
)  # fmt: skip
def test_a_bin_begins_with_its_edge(confidence: float, place: int) -> None:
    assert [n for n, _ in bins([confidence], [True])] == np.eye(5, dtype=int)[place].tolist()


@pytest.mark.parametrize(
    "labels", [[], [label("a", None, 0.0)], [label("hidden", "dog", 1.0)], [label("x", "dog", 1.0)]]
)
def test_without_labels_there_is_no_figure(labels: list[dict[str, Any]]) -> None:
    assert of_labels(make_task({"a": "dog", "hidden": ""}), labels) is None


def test_labels_of_open_questions() -> None:
    task = make_task({"a": "barking", "b": "barking"}, ())
    found = of_labels(task, [label("a", "a dog barking", 0.5), label("b", "a dog", 0.5)])
    assert found is not None and found["label_accuracy"] == 50.0


# --- from what a run leaves ------------------------------------------------------------------------------------------

ANSWERS = {f"q{i}": ANIMALS[i % 3] for i in range(4)}


def knows(question: Question, sampling: Sampling) -> Drawn:
    """Three quarters for the right option wherever it stands, by its letter."""
    right = "ABC"[question.choices.index(ANSWERS[question.id])]
    wrong = next(letter for letter in "ABC" if letter != right)
    more = max(sampling.n * 3 // 4, 1)
    return {tagged(right): more, tagged(wrong): sampling.n - more} if sampling.n > more else {tagged(right): more}


def oracle_of(folder: Path, task: Task) -> list[dict[str, float]]:
    return of_rollouts(task, JsonLines(folder / "adapt" / "rollouts.jsonl").read())


def test_a_session_leaves_what_the_oracle_reads(tmp_path: Path) -> None:
    task, question = make_task({"q": "dog"}), make_question("q", ANIMALS)
    whole, part = make_group(question, {"dog": 3, "cat": 1, "owl": 2}), make_group(question, {"dog": 1, "owl": 2})
    right = [np.array([1.0, 1.0, 0.0])]
    step = Experience([part], [np.zeros(2)], correctness=right, rollouts=[whole], labels={"q": "dog"})
    Session(tmp_path, 0, 4).log_rollouts(7, step)
    assert oracle_of(tmp_path, task) == [{
        "step": 7, "label_accuracy": 1.0, "reward_accuracy": 0.833333, "ground_truth_ratio": 0.5, "pass": 1.0,
        "post_reward_accuracy": 1.0, "post_ground_truth_ratio": 0.333333, "post_pass": 1.0,
    }]  # fmt: skip


@pytest.mark.parametrize("group_size", [8, 2])
def test_of_ttrl(group_size: int, tmp_path: Path) -> None:
    task = make_task(ANSWERS)
    config = TtrlConfig(votes=8, group_size=group_size, steps=2, batch_size=4)
    Ttrl(config).adapt(FakePolicy(knows), task.questions, Session(tmp_path, 0, 4))
    for step, found in enumerate(oracle_of(tmp_path, task), 1):
        whole = {name: found[name] for name in ("step", *NAMES)}
        assert whole == {
            "step": step, "label_accuracy": 1.0, "reward_accuracy": 1.0, "ground_truth_ratio": 0.75, "pass": 1.0,
        }  # fmt: skip
        assert len(found) == (5 if group_size == 8 else 8)
        if group_size == 2:
            assert found["post_reward_accuracy"] == 1.0
            assert found["post_ground_truth_ratio"] in [i / 8 for i in range(1, 9)], "four questions, two samples each"


def test_of_view_ttrl(tmp_path: Path) -> None:
    """Each view has its options in its own order; the labels are votes over all of them."""
    task = make_task(ANSWERS)
    config = ViewTtrlConfig(
        votes=8, n_views=2, views="choices", train_views="choices", group_size=8, group_views=2, steps=2, batch_size=4
    )
    ViewTtrl(config).adapt(FakePolicy(knows), task.questions, Session(tmp_path, 0, 4))
    records = JsonLines(tmp_path / "adapt" / "rollouts.jsonl").read()
    assert len({tuple(record["choices"]) for record in records}) > 3
    assert oracle_of(tmp_path, task) == [
        {"step": step, "label_accuracy": 1.0, "reward_accuracy": 1.0, "ground_truth_ratio": 0.75, "pass": 1.0}
        for step in (1, 2)
    ]
    labels = of_labels(task, JsonLines(tmp_path / "adapt" / "labels.jsonl").read())
    assert labels is not None and (labels["label_accuracy"], labels["labelled"]) == (100.0, 4)
    assert [b["n"] for b in labels["reliability"]] == [0, 0, 0, 4, 0], "6 of 8 votes"
