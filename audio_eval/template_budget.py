"""What rendering a template may take: one budget, out of which everything is paid, and bounds on single values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set, ValuesView
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from jinja2.exceptions import TemplateError
from jinja2.utils import Namespace

BUDGET = 4_000_000  # of one rendering: about as many characters, and parts of the template that are passed through
MAX_TEXT = 2_000_000  # characters of one text
MAX_PARTS = 20_000  # values in a list or a mapping, those in lists within it too
MAX_NUMBER = 100_000  # of a width, a count or a repetition
MAX_BITS = 4096  # of an integer
_PASSED, _PART = 8, 2  # characters that are passed through for one; what a value among others costs


class Exceeded(TemplateError):
    """A template takes more than it may."""


_left: ContextVar[list[int]] = ContextVar("left of the budget")


@contextmanager
def budget() -> Iterator[None]:
    """What is compiled and rendered in the block may take ``BUDGET``."""
    token = _left.set([BUDGET])
    try:
        yield
    except RecursionError:
        raise Exceeded("it is nested too deeply, or calls itself without end") from None
    except MemoryError:
        raise Exceeded("it takes too much memory") from None
    finally:
        _left.reset(token)


def spend(cost: int) -> None:
    """Pay; ``Exceeded`` where nothing is left."""
    left = _left.get()
    left[0] -= cost
    if left[0] < 0:
        raise Exceeded("its loops, calls and texts are more than a prompt can need")


def check(amount: int, most: int) -> None:
    """``Exceeded`` where an amount is more than it may be."""
    if amount > most:
        raise Exceeded(f"it makes something larger than it may ({most})")


def counted(values: Iterable[Any], cost: int) -> Iterator[Any]:
    """The values, each paid for when it is taken."""
    for value in values:
        spend(cost)
        yield value


def metered(values: Any) -> Any:
    """Values that are made one by one, as ``map`` does, pay when they are taken; others are measured as they are."""
    if not isinstance(values, Iterator):
        return values
    return counted((_paid(value) for value in values), 1)


def _paid(value: Any) -> Any:
    spend(len(value) if isinstance(value, (str, bytes)) else 0)
    return weighed(value)


def weighed(value: Any) -> Any:
    """The value, paid for by its size, if it is not too large: the same list may stand in a list many times, which
    takes no memory until it is shown, copied or compared.
    """
    waiting, seen, characters = [value], 0, 0
    try:
        while waiting:
            part = waiting.pop()
            if isinstance(part, (str, bytes, range)):
                characters += len(part)
            elif isinstance(part, int):
                check(part.bit_length(), MAX_BITS)
            elif isinstance(part, Mapping):
                waiting += [*part.keys(), *part.values()]
            elif isinstance(part, (list, tuple, Set, ValuesView)):
                waiting += part
            elif isinstance(part, Namespace):
                waiting += object.__getattribute__(part, "_Namespace__attrs").values()
            seen += 1
            check(max(seen, len(waiting)), MAX_PARTS)
            check(characters, MAX_TEXT)
    finally:
        spend(_PART * seen + characters // _PASSED)
    return value
