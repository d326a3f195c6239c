"""Shortened segments of a chain of thought: XS-CoT's semi-implicit compression (arXiv 2504.20835).

A segment is split into sentences, and of each the first k word groups are kept with "..." after them; k falls over the
training, so that the chain becomes shorter until most of it is implicit. What a word group is and how k falls is not
published: here a word, or a character of a script that is written without spaces; and equal stages, the first of them
whole, in which k falls in even steps.
"""

from __future__ import annotations

import re

# Han, kana, Thai, Lao, Khmer and Burmese: a word is not marked off, so the unit is the character.
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
_SENTENCE = re.compile(r"\S.*?(?:[.!?…]+[\"')\]»”’]*(?=\s|\Z)|[。！？]+[」』]?|(?=\n)|\Z)", re.DOTALL)  # noqa: RUF001
# An unspaced character with the marks around it, else a run without blanks.
_GROUP = re.compile(rf"[^\w\s]*[{_UNSPACED}][^\w\s]*|[^\s{_UNSPACED}]+")
ELLIPSIS = "..."


def sentences(text: str) -> list[str]:
    """The sentences of a text, stripped: up to . ! ? and a blank, up to 。！？, or up to the end of a line."""  # noqa: RUF002
    return [found[0].strip() for found in _SENTENCE.finditer(text)]


def compress(text: str, keep: int | None) -> str:
    """The text with each sentence of more than ``keep`` word groups cut after them; None: as it is.

    ``keep`` 0 leaves "..." of each sentence. What stands between sentences stays.
    """
    if keep is None:
        return text
    kept = keep

    def cut(found: re.Match[str]) -> str:
        groups = list(_GROUP.finditer(found[0]))
        return found[0] if len(groups) <= kept else found[0][: groups[kept].start()].rstrip() + ELLIPSIS

    return _SENTENCE.sub(cut, text)


def kept_groups(step: int, steps: int, stages: int, first: int, last: int) -> int | None:
    """The k of a step: None (whole) in stage 0, then from ``first`` to ``last`` in even steps, rounded."""
    stage = min(step * stages // steps, stages - 1)
    if stage == 0:
        return None
    return round(first + (last - first) * (stage - 1) / max(stages - 2, 1))
