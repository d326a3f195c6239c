"""JSON from files of other people: UTF-8, of a bounded depth, with numbers and texts that can be written down again."""

from __future__ import annotations

import json
import re
from typing import Any

# Levels of lists and objects within one another. Deeper values parse, and then fail wherever they are copied or shown.
MAX_DEPTH = 64
_DIGITS = re.compile(r"\d{19}")
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


class BadJson(ValueError):
    """Why a text is no JSON that can be used; in place of a row also what the reader of the row is told."""


class NotUtf8(BadJson):
    """The text is in another encoding, as the rest of its file probably is."""


def parse(data: bytes | str, texts: bool = True) -> Any:
    """The value; ``BadJson`` where the text is no JSON in UTF-8, or has what ``fault`` finds.

    Our own files may hold lone surrogates, in names of files that are no UTF-8: of these ``texts`` are not looked at.
    """
    value, suspect = _parse(data)
    if reason := fault(value, texts=texts and suspect):
        raise BadJson(reason)
    return value


def parse_list(data: bytes | str) -> list[Any] | None:
    """The elements of a list; of one that has what ``fault`` finds, a ``BadJson`` in its place. None for no list.

    ``BadJson`` is raised where the text is no JSON.
    """
    rows, suspect = _parse(data)
    if not isinstance(rows, list):
        return None
    return [BadJson(reason) if (reason := fault(row, texts=suspect)) else row for row in rows]


def fault(value: Any, texts: bool = True) -> str | None:
    """What makes a value of JSON's types unusable: too deep, a text that no file can hold (``texts``), an integer of
    more than 64 bits. None where nothing does.
    """
    level: list[Any] = [value]
    for _ in range(MAX_DEPTH + 1):
        if any(type(one) is int and not -(2**63) <= one < 2**63 for one in level):
            return "it holds an integer of more than 64 bits"
        if texts and any(isinstance(one, str) and not _is_text(one) for one in level):
            return "it holds half a character (a lone surrogate, \\ud800 to \\udfff)"
        outer = [one for one in level if isinstance(one, (dict, list, tuple))]
        if not outer:
            return None
        level = [inner for one in outer for inner in ((*one.values(), *one) if isinstance(one, dict) else one)]
    return f"it is nested deeper than {MAX_DEPTH} levels"


def _parse(data: bytes | str) -> tuple[Any, bool]:
    """The value, and whether one of its texts may be half a character."""
    try:
        text = data.decode() if isinstance(data, bytes) else data
        return json.loads(text, parse_int=_integer if _DIGITS.search(text) else None), bool(_SURROGATE.search(text))
    except UnicodeDecodeError as error:
        raise NotUtf8(not_utf8(error)) from None
    except RecursionError:
        raise BadJson(f"it is nested deeper than {MAX_DEPTH} levels") from None
    except BadJson:
        raise
    except ValueError as error:
        raise BadJson(str(error)) from None


def _integer(digits: str) -> int:
    """Python refuses to read, and takes long for, an integer of thousands of digits."""
    if len(digits) > 20:
        raise BadJson(f"it holds an integer of {len(digits.lstrip('-'))} digits")
    return int(digits)


def _is_text(text: str) -> bool:
    return text.isascii() or not re.search("[\ud800-\udfff]", text)


def not_utf8(error: UnicodeDecodeError) -> str:
    """The message for bytes that are no UTF-8, with what they probably are instead."""
    likely = "UTF-16" if error.object[:2] in (b"\xff\xfe", b"\xfe\xff") else "Latin-1 or another encoding"
    return f"it is not UTF-8 from byte {error.start + 1} on (it may be {likely}): save it as UTF-8"
