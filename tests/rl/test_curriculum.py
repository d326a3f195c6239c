from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio_eval.errors import UserError
from audio_eval.group import Group
from audio_eval.rl.curriculum import measure, pass_rate, pool_at, stages
from tests.rl.fake_policy import make_group, make_question, tagged


def test_pass_rate_counts_every_sample() -> None:
    question = make_question("q", ("cat", "dog", "owl"))
    group = make_group(question, {tagged("dog"): 3, "It is a dog.": 1, tagged("cat"): 2, "no idea": 2})
    assert [pass_rate(group, label) for label in range(3)] == [2 / 8, 4 / 8, 0.0]
    assert pass_rate(Group(question, (), (), "unreadable"), 0) == 0.0


def test_measures() -> None:
    group = make_group(make_question("q", ("cat", "dog", "owl")), {tagged("dog"): 5, tagged("cat"): 2, "no idea": 1})
    assert measure(group, {"q": 0}, "pass_rate", 0) == 2 / 8
    assert measure(group, {"q": 0}, "confidence", 0) == measure(group, {}, "confidence", 1) == 5 / 8


P = {"a": 0.25, "b": 1.0, "c": 0.0, "d": 0.5, "e": 0.75, "f": 0.125}


@pytest.mark.parametrize(
    ("n", "never", "always", "expected"),
    [
        (1, True, False, [["b", "e", "d", "a", "f"]]),
        (2, True, False, [["b", "e"], ["d", "a", "f"]]),
        (2, True, True, [["e", "d"], ["a", "f"]]),
        (3, False, False, [["b", "e"], ["d", "a"], ["f", "c"]]),
        (9, True, True, [["e"], ["d"], ["a"], ["f"]]),
    ],
)
def test_stages(n: int, never: bool, always: bool, expected: list[list[str]]) -> None:
    assert stages(P, n, 0, never, always) == expected


def test_ties_are_broken_by_the_seed_and_not_by_the_order_of_the_input() -> None:
    tied = {str(i): 0.5 for i in range(12)}
    assert stages(tied, 3, 0) == stages(dict(reversed(tied.items())), 3, 0) != stages(tied, 3, 1)


@given(st.dictionaries(st.text(max_size=4), st.floats(0.01, 1), min_size=1), st.integers(1, 8))
def test_stages_part_the_items_evenly_from_easy_to_hard(difficulty: dict[str, float], n: int) -> None:
    parts = stages(difficulty, n, 0)
    sizes = [len(part) for part in parts]
    assert min(sizes) >= 1 and max(sizes) - min(sizes) <= 1 and len(parts) <= n
    flat = [difficulty[id_] for part in parts for id_ in part]
    assert flat == sorted(difficulty.values(), reverse=True)


def test_nothing_left_is_the_users_to_mend() -> None:
    with pytest.raises(UserError, match=r"no item of 2 .* drop_never=false"):
        stages({"a": 0.0, "b": 0.0}, 2, 0)


@pytest.mark.parametrize(
    ("pacing", "expected"),
    [
        ("staged", ["a b", "a b", "a b", "c", "c", "d e", "d e"]),
        ("cumulative", ["a b", "a b", "a b", "a b c", "a b c", "a b c d e", "a b c d e"]),
    ],
)
def test_pools(pacing: str, expected: list[str]) -> None:
    pools = [pool_at([["a", "b"], ["c"], ["d", "e"]], step, 7, pacing) for step in range(7)]  # type: ignore[arg-type]
    assert [" ".join(pool.ids) for pool in pools] == expected
    assert [(pool.stage, pool.step) for pool in pools] == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (2, 0), (2, 1)]


@given(st.integers(1, 6), st.integers(1, 40))
def test_every_stage_begins_at_its_step_0(n: int, steps: int) -> None:
    pools = [pool_at([[str(k)] for k in range(n)], step, steps, "staged") for step in range(steps)]
    for before, pool in pairwise(pools):
        assert pool.step == (before.step + 1 if pool.stage == before.stage else 0)
    assert pools[0][:2] == (0, 0)
