from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio_eval.errors import UserError
from audio_eval.group import Group
from audio_eval.questions import Example
from audio_eval.rl.labels import Voting, gold_labels, vote_labels
from audio_eval.rl.session import Session
from audio_eval.rl.votes import Vote, majority_vote, pooled_vote
from audio_eval.store import JsonLines
from tests.rl.fake_policy import Drawn, FakePolicy, make_group, make_question, tagged
from tests.rl.test_views import seen


def vote(drawn: dict[str, int], id: str = "q", seed: int = 0, choices: tuple[str, ...] = ("cat", "dog", "owl")) -> Vote:
    return majority_vote(make_group(make_question(id, choices), drawn), seed)


def test_the_option_named_most_often_wins() -> None:
    won = vote({tagged("dog"): 5, "cat": 2, "It is a cat.": 1})
    assert won == Vote(choice=1, confidence=5 / 8, tally={0: 3, 1: 5}, unparsable=0)


def test_completions_that_name_the_same_option_vote_together() -> None:
    assert vote({tagged("dog"): 3, "cat": 2, "(A) cat": 2}).choice == 0


def test_samples_that_name_no_option_lower_the_confidence() -> None:
    won = vote({tagged("dog"): 3, "": 4, "no idea": 1})
    assert won == Vote(choice=1, confidence=3 / 8, tally={1: 3}, unparsable=5)


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
    for won in (first, second):
        assert 0.45 < sum(won) / 2000 < 0.55  # 4.5 standard deviations
    assert 0.45 < sum(a == b for a, b in zip(first, second, strict=True)) / 2000 < 0.55


def test_a_tie_is_among_the_leaders_only() -> None:
    assert {vote({"cat": 1, "dog": 3, "owl": 3}, str(i)).choice for i in range(50)} == {1, 2}


# --- over views ------------------------------------------------------------------------------------------------------

Ballot = tuple[tuple[int, ...], Drawn]  # the order in which cat, dog and owl are shown, and what is answered
PLAIN, TURNED = (0, 1, 2), (2, 0, 1)  # turned: owl, cat, dog


def pooled(ballots: Sequence[Ballot], id: str = "q", seed: int = 0) -> Vote:
    views = [seen(order, id=id) for order, _ in ballots]
    groups = [make_group(view.question, drawn) for view, (_, drawn) in zip(views, ballots, strict=True)]
    return pooled_vote(groups, views, seed)


def test_views_are_counted_together_by_the_options_of_the_item() -> None:
    # as it is: 3 cat, 1 dog; turned: A is the owl, B the cat
    won = pooled([(PLAIN, {tagged("A"): 3, tagged("B"): 1}), (TURNED, {"A": 2, tagged("B"): 1, "no idea": 1})])
    assert won == Vote(choice=0, confidence=4 / 8, tally={0: 4, 1: 1, 2: 2}, unparsable=1, agreement=1 / 2)


def test_a_habit_of_position_wins_nothing_for_sure() -> None:
    """Whoever always answers A is one vote for each option once the options have gone round."""
    won = pooled([(order, {"A": 4}) for order in (PLAIN, TURNED, (1, 2, 0))])
    assert won.tally == {0: 4, 1: 4, 2: 4}
    assert (won.confidence, won.agreement) == (4 / 12, 1 / 3)


@pytest.mark.parametrize(
    ("ballots", "agreement"),
    [
        ([(PLAIN, {"cat": 3, "dog": 1}), (TURNED, {"cat": 4})], 1.0),
        ([(PLAIN, {"cat": 4}), (TURNED, {"dog": 2, "owl": 1}), (PLAIN, {"cat": 1})], 2 / 3),
        ([(PLAIN, {"cat": 4}), (TURNED, {"no idea": 4})], 1 / 2),  # a view in which nobody names one does not agree
        ([(PLAIN, {"cat": 4}), (TURNED, {"cat": 2, "dog": 2})], 1.0),  # level with the most of its own view
        ([(PLAIN, {"cat": 2, "dog": 3}), (TURNED, {"cat": 2, "owl": 3}), (PLAIN, {"cat": 3, "dog": 1})], 1 / 3),
    ],
)
def test_agreement_is_the_share_of_views_whose_own_majority_it_is(ballots: list[Ballot], agreement: float) -> None:
    won = pooled(ballots)
    assert (won.choice, won.agreement) == (0, pytest.approx(agreement))


def test_confidence_is_over_all_samples_of_all_views() -> None:
    won = pooled([(PLAIN, {"dog": 2, "no idea": 3}), (TURNED, {"": 4, "cat or dog": 1})])
    assert (won.choice, won.confidence, won.unparsable) == (1, 2 / 10, 8)


def test_of_options_with_the_same_text_the_first_has_all_votes_in_any_order() -> None:
    twins = ("cat", "dog", "Cat.")
    views = [seen((0, 1, 2), twins), seen((2, 1, 0), twins)]
    # by letter C: the third as it is, the first when turned round
    groups = [make_group(views[0].question, {"A": 1, "C": 2}), make_group(views[1].question, {"C": 3, "B": 1})]
    assert pooled_vote(groups, views, 0) == Vote(0, 6 / 7, {0: 6, 1: 1}, 0, 1.0)


@pytest.mark.parametrize("ballots", [[(PLAIN, {"no idea": 4}), (TURNED, {"": 64})], [(PLAIN, {}), (TURNED, {})]])
def test_where_nobody_named_an_option_in_any_view_there_is_no_label(ballots: list[Ballot]) -> None:
    """No crash (facts 2.3.1) and no letter at random (3.7.4), whatever the seed."""
    samples = sum(sum(drawn.values()) for _, drawn in ballots)
    assert {pooled(ballots, str(i), seed).choice for i in range(20) for seed in range(5)} == {None}
    assert pooled(ballots) == Vote(None, 0.0, {}, samples, 0.0)


def test_views_that_could_not_be_asked_have_no_votes() -> None:
    views = [seen(PLAIN), seen(TURNED)]
    groups = [make_group(views[0].question, {"dog": 2}), Group(views[1].question, (), (), "no such file")]
    assert pooled_vote(groups, views, 0) == Vote(1, 1.0, {1: 2}, 0, 1 / 2)
    assert pooled_vote([replace(groups[1], question=v.question) for v in views], views, 0).choice is None


samples = st.dictionaries(st.sampled_from(["A", "B", "C", "cat", "no idea"]), st.integers(1, 3), max_size=5)


@given(st.lists(st.tuples(st.permutations(PLAIN).map(tuple), samples), min_size=1, max_size=4), st.data())
def test_a_vote_depends_on_no_order_of_views_or_samples(ballots: list[Ballot], data: st.DataObject) -> None:
    """Ties too (facts 2.3.3)."""
    mixed = [(order, dict(data.draw(st.permutations(list(drawn.items()))))) for order, drawn in ballots]
    shuffled = data.draw(st.permutations(mixed))
    for id_ in ("q", "r", "s"):
        won = pooled(ballots, id_)
        assert won == pooled(shuffled, id_)
        assert sum(won.tally.values()) + won.unparsable == sum(n for _, d in ballots for n in d.values())
        if won.choice is not None:
            assert won.tally[won.choice] == max(won.tally.values())


def test_ties_between_views_are_broken_by_seed_and_id_alone() -> None:
    def tied(order: Sequence[int], i: int, seed: int) -> int | None:
        ballots: list[Ballot] = [(PLAIN, {"cat": 2}), (TURNED, {"dog": 2})]
        return pooled([ballots[j] for j in order], str(i), seed).choice

    first = [tied((0, 1), i, 0) for i in range(400)]
    assert first == [tied((1, 0), i, 0) for i in range(400)] and set(first) == {0, 1}
    assert 140 < first.count(0) < 260  # 200 +- 6 standard deviations
    assert first != [tied((0, 1), i, 1) for i in range(400)]
    assert first == [vote({"cat": 2, "dog": 2}, str(i)).choice for i in range(400)], "as in a single view"


# --- labels ----------------------------------------------------------------------------------------------------------


def script(question, sampling):
    table = {"clear": {"cat": 3, "dog": 1}, "tie": {"dog": 2, "cat": 2}, "none": {"no idea": 4}}
    return table[question.id.split("-")[0]]


QUESTIONS = [make_question(f"{kind}-{i}") for i in range(4) for kind in ("clear", "tie", "none")]


@pytest.mark.parametrize("batch_size", [1, 5, 32])
def test_labels_do_not_depend_on_the_batch(batch_size: int, tmp_path: Path) -> None:
    policy = FakePolicy(script)
    labels = vote_labels(policy, QUESTIONS, Voting(votes=4), Session(tmp_path, 0, batch_size))
    assert set(labels) == {q.id for q in QUESTIONS if not q.id.startswith("none")}, "nobody voted: no label"
    alone = {q.id: majority_vote(make_group(q, script(q, None)), 0) for q in QUESTIONS if q.id in labels}
    assert labels == alone
    assert all(sampling.n == 4 and sampling.temperature == 1.0 for _, sampling in policy.asked)


def test_labels_are_recorded_with_those_that_were_skipped(tmp_path: Path) -> None:
    vote_labels(FakePolicy(script), QUESTIONS, Voting(votes=4), Session(tmp_path, 0, 5))
    records = JsonLines(tmp_path / "adapt" / "labels.jsonl").read()
    assert [record["id"] for record in records] == [question.id for question in QUESTIONS]
    assert records[0] == {
        "id": "clear-0", "choice": 0, "label": "cat", "confidence": 0.75, "tally": {"cat": 3, "dog": 1},
        "unparsable": 0, "entropy": 0.811278, "agreement": 1.0,
    }  # fmt: skip
    assert (records[2]["choice"], records[2]["label"], records[2]["unparsable"]) == (None, None, 4)


def test_votes_that_name_nothing_at_all_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nothing to learn from"):
        vote_labels(FakePolicy(script), QUESTIONS[2::3], Voting(votes=4), Session(tmp_path, 0, 5))


def test_gold_labels() -> None:
    examples = [Example(make_question("a"), "dog"), Example(make_question("b"), "cow"), Example(make_question("c"), "")]
    assert gold_labels(examples) == {"a": 1}, "an answer that is no option teaches nothing"
    with pytest.raises(UserError, match="answer"):
        gold_labels(examples[1:])
