"""The window of requests under way: it widens while all is well and is halved once for each setback."""

from __future__ import annotations

import time

from hypothesis import given
from hypothesis import strategies as st

from audio_eval.models.api.limiter import FIRST, Limiter


def test_it_doubles_until_the_first_setback_and_then_grows_by_one_a_window() -> None:
    limiter = Limiter(64)
    assert limiter.window == FIRST == 8
    for _ in range(8):
        limiter.success()
    assert limiter.window == 16
    with limiter.slot() as seen:
        limiter.setback(seen)
    assert limiter.window == 8
    for _ in range(8):
        limiter.success()
    assert 8.5 < limiter.window < 9.05


def test_requests_of_the_same_setback_halve_it_once() -> None:
    limiter = Limiter(64)
    with limiter.slot() as first, limiter.slot() as second:
        limiter.setback(first)
        limiter.setback(second)
    assert limiter.window == 4
    with limiter.slot() as later:
        limiter.setback(later)
    assert limiter.window == 2


@given(st.lists(st.booleans()), st.integers(1, 40))
def test_it_stays_between_one_and_its_bound(well: list[bool], most: int) -> None:
    limiter = Limiter(most)
    for one in well:
        with limiter.slot() as seen:
            limiter.success() if one else limiter.setback(seen)
        assert 1 <= limiter.window <= most


def test_a_pause_holds_for_all() -> None:
    limiter = Limiter(4)
    limiter.setback(0, pause_s=0.15)
    began = time.monotonic()
    with limiter.slot():
        assert time.monotonic() - began >= 0.14
