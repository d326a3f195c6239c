from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from audio_eval.seeding import stream

keys = st.lists(st.one_of(st.text(max_size=8), st.integers()), max_size=3)


@given(st.integers(0, 2**31), keys)
def test_equal_keys_give_equal_streams(seed: int, key: list[object]) -> None:
    assert stream(seed, *key).random(4).tolist() == stream(seed, *key).random(4).tolist()


def test_every_part_of_the_key_counts() -> None:
    drawn = [
        stream(*key).random()
        for key in [(0,), (1,), (0, "a"), (0, "b"), (0, "a", "vote"), (0, "a", "predict"), (0, "ab"), (0, "", "ab")]
    ]
    assert len(set(drawn)) == len(drawn)
    assert stream(0, "a", "b").random() != stream(0, "ab").random()


def test_the_values_are_the_same_on_every_machine() -> None:
    # pinned: another value means that every recorded run can no longer be redrawn
    assert stream(0, "q1", "vote").integers(0, 1_000_000, 4).tolist() == [888028, 252049, 552016, 439147]
