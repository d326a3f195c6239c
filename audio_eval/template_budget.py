"""What the rendering of a stranger's template may take: one budget, and a measure of each value before it is used."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from jinja2.exceptions import TemplateError
from jinja2.utils import Namespace

BUDGET = 4_000_000  # of one rendering: about as many characters, and parts of the template that are passed through
MAX_SOURCE = 256 * 2**10  # characters of a template
MAX_TEXT = 2_000_000  # characters of one text
MAX_PARTS = 20_000  # values in a list or a mapping, those in lists within it too
MAX_NUMBER = 100_000  # of a width, a count or a repetition
MAX_BITS = 4096  # of an integer
CALL, ROUND = 50, 10  # what a call, and a round of a loop, cost by themselves
LARGE = (str, bytes, list, tuple, set, frozenset, Mapping)
_PLAIN = frozenset({int, float, bool, type(None)})
_WIDTH = re.compile(r"\d{6}")


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
    """Take from the budget; ``Exceeded`` where nothing is left."""
    left = _left.get()
    left[0] -= cost
    if left[0] < 0:
        raise Exceeded("its loops, calls and texts are more than a prompt can need")


def check(amount: int, most: int) -> None:
    """``Exceeded`` where an amount is more than it may be."""
    if amount > most:
        raise Exceeded(f"it makes something larger than it may ({most})")


def is_int(value: Any) -> bool:
    """Whether it is an integer, as a width or a count may be."""
    return isinstance(value, int)


def counted(values: Iterable[Any], cost: int) -> Iterator[Any]:
    """The values, each of which costs so much when it is taken."""
    for value in values:
        spend(cost)
        yield value


def metered(values: Any) -> Any:
    """Values that are made one by one, as ``map`` does, pay when they are taken; others are measured as they are."""
    if isinstance(values, range):
        spend(len(values))
    if not isinstance(values, Iterator):
        return values
    return counted((_paid(value) for value in values), 1)


def compared(value: Any) -> Any:
    """The value, after it has paid for what a comparison goes through."""
    return weighed(metered(value))


def _paid(value: Any) -> Any:
    spend(len(value) if isinstance(value, (str, bytes)) else 0)
    return weighed(value)


def concat(values: list[Any]) -> str:
    """The values of ``~`` as one text."""
    texts = [str(weighed(value)) for value in values]
    total = sum(map(len, texts))
    check(total, MAX_TEXT)
    spend(total)
    return "".join(texts)


def output(value: Any) -> Any:
    """What ``{{ ... }}`` shows."""
    weighed(value)
    spend(len(value) if isinstance(value, str) else len(str(value)))
    return value


def weighed(value: Any) -> Any:
    """The value, if it is not too large: the same list may stand in a list many times, which takes no memory until it
    is shown, copied or compared. It pays by its size, as much as what goes through it takes: a text that it is, more
    than texts in it, which may stand in a list whose length is asked for.
    """
    waiting, seen, characters = [value], 0, 0
    while waiting:
        part = waiting.pop()
        seen += 1
        if type(part) in _PLAIN:
            continue
        if isinstance(part, (str, bytes)):
            characters += len(part)
        elif isinstance(part, (list, tuple, set, frozenset)):
            waiting += part
        elif isinstance(part, Mapping):
            waiting += [*part.keys(), *part.values()]
        elif isinstance(part, Namespace):
            waiting += object.__getattribute__(part, "_Namespace__attrs").values()
        check(seen + len(waiting), MAX_PARTS)
        check(characters, MAX_TEXT)
    spend(2 * seen + characters // (4 if isinstance(value, (str, bytes)) else 64))
    return value


def check_arguments(given: Iterable[Any]) -> None:
    """``Exceeded`` for a number that makes something large."""
    for value in given:
        if is_int(value):
            check(abs(value), MAX_NUMBER)


def check_format(form: str, given: Iterable[Any]) -> None:
    """A width stands in the format, or is given beside it; a value may be shown as often as the format has signs."""
    if _WIDTH.search(form):
        raise Exceeded("it writes something of a width of more than five digits")
    if "*" in form or "{}" in form:
        check_arguments(given)
    shown = sum(len(str(weighed(value))) for value in given)
    check(len(form) + (form.count("{") + form.count("%")) * shown, MAX_TEXT)


def check_method(text: str | bytes, method: str, given: list[Any]) -> None:
    """Methods of texts whose result may be much longer than the text."""
    if method == "replace" and len(given) >= 2:
        check(len(text) + text.count(given[0]) * len(given[1]), MAX_TEXT)
    elif method == "join":
        parts = list(weighed(given[0])) if given and isinstance(given[0], (list, tuple)) else []
        check(sum(len(part) + len(text) for part in parts if isinstance(part, (str, bytes))), MAX_TEXT)
    elif method == "format":
        check_format(str(text), given)
    elif method == "expandtabs":
        check(len(text) * max([8, *filter(is_int, given)]), MAX_TEXT)
    elif method == "translate":
        raise Exceeded("it uses translate(), which is not allowed")
