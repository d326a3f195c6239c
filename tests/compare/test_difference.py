"""What the difference of two runs is made of, by hand and for any two runs."""

from __future__ import annotations

from math import comb
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audio_eval.compare.difference import Difference, difference, part
from audio_eval.compare.pair import Pair
from audio_eval.compare.verdict import compared_on, verdict
from audio_eval.scoring.statistics import Outcome, compare
from tests.compare.runs import write_run

A, B = "uuwwwrrrrw", "rurruuwrrw"


def of(folder: Path, a: str, b: str) -> tuple[Pair, Difference]:
    pair = Pair.load(write_run(folder / "a", a), write_run(folder / "b", b, method="aqa_ttrl"))
    return pair, difference(pair)


def test_by_hand(tmp_path: Path) -> None:
    _, found = of(tmp_path, A, B)
    assert (found.whole.won, found.whole.lost, found.whole.difference) == (3, 2, pytest.approx(10.0))
    assert (found.reading.won, found.reading.lost, found.reading.difference) == (1, 1, 0.0)
    assert (found.answers.won, found.answers.lost, found.answers.difference) == (2, 1, pytest.approx(10.0))
    assert found.answers.p_value == pytest.approx(2 * (1 + 3) / 2**3)  # 1 or 0 of 3 fair coins
    assert found.became == {
        "right": {"right": 2, "wrong": 1, "unreadable": 1},
        "wrong": {"right": 2, "wrong": 1, "unreadable": 1},
        "unreadable": {"right": 1, "wrong": 0, "unreadable": 1},
    }
    assert found.alike == 3, "the two that both have right, and the last one"
    assert [side.right for side in found.sides] == [4, 5] and [side.readable for side in found.sides] == [8, 7]
    assert found.sides[0].of_readable == pytest.approx(50.0)


def test_by_group(tmp_path: Path) -> None:
    """Items 0, 2, 4, 6, 8 are music: u w w r r and r r u w r."""
    _, found = of(tmp_path, A, B)
    music, sound = found.groups
    assert (music.kind, music.name, music.right, music.compared.n) == ("task", "music", (2, 3), 5)
    assert (music.compared.won, music.compared.lost) == (2, 1) and music.compared.p_value == pytest.approx(1.0)
    assert (sound.name, sound.right, sound.compared.won, sound.compared.lost) == ("sound", (2, 2), 1, 1)
    assert music.p_holm == sound.p_holm == 1.0


def test_a_label_that_items_have_for_themselves_is_no_group(tmp_path: Path) -> None:
    names = [f"file {number}" for number in range(10)]
    runs = [write_run(tmp_path / name, states, kinds=names) for name, states in (("a", A), ("b", B))]
    assert difference(Pair.load(*runs)).groups == ()


def test_items_that_share_a_recording_count_together(tmp_path: Path) -> None:
    one = {place: {"audio_sha256": f"clip {place // 2}"} for place in range(len(A))}
    runs = [write_run(tmp_path / name, states, questions=one) for name, states in (("a", A), ("b", B))]
    found = difference(Pair.load(*runs))
    assert compared_on(found) == "10 items of both runs about 5 recordings"
    assert found.whole.p_value == 1.0 and found.whole.recordings == 5


def test_nothing_differs(tmp_path: Path) -> None:
    pair, found = of(tmp_path, A, A)
    assert (found.whole.difference, found.whole.p_value, found.reading.p_value) == (0.0, 1.0, 1.0)
    assert "is not shown to differ" in verdict(pair, found)[0]


@pytest.mark.parametrize(("a", "b", "better"), [("w", "r", "B (aqa_ttrl)"), ("r", "w", "A (direct)")])
def test_the_verdict(tmp_path: Path, a: str, b: str, better: str) -> None:
    pair, found = of(tmp_path, a * 6 + "r" * 30, b * 6 + "r" * 30)
    assert found.whole.p_value == pytest.approx(2 * comb(6, 0) / 2**6)
    assert verdict(pair, found)[0].startswith(f"{better} is shown to be better than")


def test_shown_to_be_alike(tmp_path: Path) -> None:
    pair, found = of(tmp_path, "r" * 400, "r" * 399 + "w")
    assert verdict(pair, found)[0].startswith("B (aqa_ttrl) is shown to be within 2 points of A (direct)")


STATE = st.sampled_from([(True, True), (False, True), (False, False)])


@settings(max_examples=60)
@given(st.lists(st.tuples(STATE, STATE, st.integers(0, 5)), min_size=1, max_size=30))
def test_the_parts_are_the_whole(items: list[tuple[tuple[bool, bool], tuple[bool, bool], int]]) -> None:
    before = [Outcome(str(i), *state, recording=str(clip)) for i, (state, _, clip) in enumerate(items)]
    after = [Outcome(str(i), *state, recording=str(clip)) for i, (_, state, clip) in enumerate(items)]
    whole = compare([before], [after])
    reading, answers = part(before, after, "unreadable"), part(before, after, "wrong")
    assert (reading.won + answers.won, reading.lost + answers.lost) == (whole.won, whole.lost)
    assert reading.difference == pytest.approx(whole.from_unparsable)
    assert answers.difference == pytest.approx(whole.from_wrong)
    for found in (reading, answers):
        assert 0 < found.p_value <= 1 and found.low <= found.difference + 1e-9 and found.difference - 1e-9 <= found.high
    turned = part(after, before, "unreadable")
    assert (turned.won, turned.lost, turned.p_value) == (reading.lost, reading.won, pytest.approx(reading.p_value))
