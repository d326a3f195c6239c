from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from audio_eval.errors import UserError
from audio_eval.questions import Example
from audio_eval.rl.labels import Voting, elect_labels, gold_labels
from audio_eval.rl.votes import Vote, majority_vote
from audio_eval.runs.session import Session
from audio_eval.runs.store import JsonLines
from tests.rl.fake_policy import FakePolicy, make_group, make_question, tagged


def vote(drawn: dict[str, int], id: str = "q", seed: int = 0, choices: tuple[str, ...] = ("cat", "dog", "owl")) -> Vote:
    return majority_vote(make_group(make_question(id, choices), drawn), seed)


def test_the_option_named_most_often_wins() -> None:
    elected = vote({tagged("dog"): 5, "cat": 2, "It is a cat.": 1})
    assert elected == Vote(choice=1, confidence=5 / 8, tally={0: 3, 1: 5}, unparsable=0)


def test_completions_that_name_the_same_option_vote_together() -> None:
    assert vote({tagged("dog"): 3, "cat": 2, "(A) cat": 2}).choice == 0


def test_samples_that_name_no_option_lower_the_confidence() -> None:
    elected = vote({tagged("dog"): 3, "": 4, "no idea": 1})
    assert elected == Vote(choice=1, confidence=3 / 8, tally={1: 3}, unparsable=5)


@pytest.mark.parametrize("drawn", [{"no idea": 4}, {"": 64}, {}])
def test_where_nobody_named_an_option_there_is_no_label(drawn: dict[str, int]) -> None:
    assert vote(drawn) == Vote(None, 0.0, {}, sum(drawn.values()), agreement=0.0)


@pytest.mark.parametrize(
    ("drawn", "bits"),
    [({"cat": 4}, 0.0), ({"cat": 2, "dog": 2}, 1.0), ({"cat": 2, "dog": 1, "owl": 1}, 1.5), ({"?": 4}, 0.0)],
)
def test_entropy_is_in_bits_and_of_the_named_options_alone(drawn: dict[str, int], bits: float) -> None:
    assert vote(drawn).entropy == pytest.approx(bits)
    assert vote({**drawn, "no idea": 7}).entropy == pytest.approx(bits)
    assert str(vote({"cat": 4}).entropy) == "0.0", "not -0.0: it stands in labels.jsonl"


def test_a_tie_does_not_depend_on_the_order_of_the_samples() -> None:
    for id_ in map(str, range(20)):
        drawn = [("cat", 2), ("dog", 2), ("owl", 2), ("no idea", 1)]
        assert len({vote(dict(order), id_).choice for order in itertools.permutations(drawn)}) == 1


def test_a_tie_depends_on_seed_and_id_and_is_even() -> None:
    tie = {"cat": 3, "dog": 3}
    first = [vote(tie, str(i), seed=0).choice for i in range(2000)]
    second = [vote(tie, str(i), seed=1).choice for i in range(2000)]
    assert first == [vote(tie, str(i), seed=0).choice for i in range(2000)]
    for elected in (first, second):
        assert 0.45 < sum(elected) / 2000 < 0.55  # 4.5 standard deviations
    assert 0.45 < sum(a == b for a, b in zip(first, second, strict=True)) / 2000 < 0.55


def test_a_tie_is_among_the_leaders_only() -> None:
    assert {vote({"cat": 1, "dog": 3, "owl": 3}, str(i)).choice for i in range(50)} == {1, 2}


def script(question, sampling):
    table = {"clear": {"cat": 3, "dog": 1}, "tie": {"dog": 2, "cat": 2}, "none": {"no idea": 4}}
    return table[question.id.split("-")[0]]


QUESTIONS = [make_question(f"{kind}-{i}") for i in range(4) for kind in ("clear", "tie", "none")]


@pytest.mark.parametrize("batch_size", [1, 5, 32])
def test_labels_do_not_depend_on_the_batch(batch_size: int, tmp_path: Path) -> None:
    policy = FakePolicy(script)
    labels = elect_labels(policy, QUESTIONS, Voting(votes=4), Session(tmp_path, 0, batch_size))
    assert set(labels) == {q.id for q in QUESTIONS if not q.id.startswith("none")}, "nobody voted: no label"
    alone = {q.id: majority_vote(make_group(q, script(q, None)), 0) for q in QUESTIONS if q.id in labels}
    assert labels == alone
    assert all(sampling.n == 4 and sampling.temperature == 1.0 for _, sampling in policy.asked)


def test_labels_are_recorded_with_those_that_were_skipped(tmp_path: Path) -> None:
    elect_labels(FakePolicy(script), QUESTIONS, Voting(votes=4), Session(tmp_path, 0, 5))
    records = JsonLines(tmp_path / "adapt" / "labels.jsonl").read()
    assert [record["id"] for record in records] == [question.id for question in QUESTIONS]
    assert records[0] == {
        "id": "clear-0", "choice": 0, "label": "cat", "confidence": 0.75, "tally": {"cat": 3, "dog": 1},
        "unparsable": 0, "entropy": 0.811278, "agreement": 1.0,
    }  # fmt: skip
    assert (records[2]["choice"], records[2]["label"], records[2]["unparsable"]) == (None, None, 4)


def test_votes_that_name_nothing_at_all_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nothing to learn from"):
        elect_labels(FakePolicy(script), QUESTIONS[2::3], Voting(votes=4), Session(tmp_path, 0, 5))


def test_gold_labels() -> None:
    examples = [Example(make_question("a"), "dog"), Example(make_question("b"), "cow"), Example(make_question("c"), "")]
    assert gold_labels(examples) == {"a": 1}, "an answer that is no option teaches nothing"
    with pytest.raises(UserError, match="answer"):
        gold_labels(examples[1:])
