"""Compression of a chain of thought: XS-CoT's semi-implicit chains (arXiv 2504.20835).

Each sentence keeps its first k word groups, followed by "...". k falls during the training, so that the chain becomes
shorter until most of it is implicit. The source does not say what a word group is or how k falls. Here it is a word, or
a character in scripts without spaces. k falls in even steps over equal stages, of which the first is uncompressed.
"""

from __future__ import annotations

import re

# Han, kana, Thai, Lao, Khmer and Burmese have no spaces between words, so the unit is the character.
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
_SENTENCE = re.compile(r"\S.*?(?:[.!?…]+[\"')\]»”’]*(?=\s|\Z)|[。！？]+[」』]?|(?=\n)|\Z)", re.DOTALL)  # noqa: RUF001
# A character of these scripts with the punctuation around it, or else a run of characters without blanks.
_GROUP = re.compile(rf"[^\w\s]*[{_UNSPACED}][^\w\s]*|[^\s{_UNSPACED}]+")
ELLIPSIS = "..."


def sentences(text: str) -> list[str]:
    """The sentences of a text, stripped: up to . ! ? and a blank, up to 。！？, or up to the end of a line."""  # noqa: RUF002
    return [found[0].strip() for found in _SENTENCE.finditer(text)]


def compress(text: str, keep: int | None) -> str:
    """The text, with each sentence of more than ``keep`` word groups cut after these; None: unchanged.

    With ``keep`` 0 only "..." is left of each sentence. The blanks between sentences stay.
    """
    if keep is None:
        return text
    kept = keep

    def cut(found: re.Match[str]) -> str:
        groups = list(_GROUP.finditer(found[0]))
        return found[0] if len(groups) <= kept else found[0][: groups[kept].start()].rstrip() + ELLIPSIS

    return _SENTENCE.sub(cut, text)


def kept_groups(step: int, steps: int, stages: int, first: int, last: int) -> int | None:
    """The k of a step: None (uncompressed) in stage 0, then from ``first`` to ``last`` in even steps, rounded."""
    stage = min(step * stages // steps, stages - 1)
    if stage == 0:
        return None
    return round(first + (last - first) * (stage - 1) / max(stages - 2, 1))
