"""Rewards for structure: the tags of a completion, each opened and closed once and in order, and length of thinking.

The case of tags does not matter. Text is free inside a segment's tag; between segments only blanks are allowed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Literal, NamedTuple

import numpy as np

from audio_eval.group import Group

Format = Literal["answer", "think_answer", "maybe_think", "sections", "audio_reasoner"]
SECTIONS = ("planning", "caption", "reasoning", "summary")


class Segment(NamedTuple):
    """A tag with free text in it, and its share of the graded reward. ``inside``: the tag around it."""

    tag: str
    share: float
    inside: str = ""


_PARTS = tuple(Segment(tag, 0.25 / len(SECTIONS), "think") for tag in SECTIONS)
# 0.25 for the thinking and 0.75 for the answer: NeMo RL's format reward. The even split over sections is ours.
FORMATS: dict[Format, tuple[Segment, ...]] = {
    "answer": (Segment("answer", 1.0),),  # R1-AQA
    "think_answer": (Segment("think", 0.25), Segment("answer", 0.75)),  # R1-AQA "think", Ke-Omni-R, NeMo RL
    "maybe_think": (Segment("think", 0.25), Segment("answer", 0.75)),  # Audio-Thinker: thinking may be left out
    "sections": (*_PARTS, Segment("answer", 0.75)),  # SARI's structured chain, with this harness's answer tag
    "audio_reasoner": (*_PARTS, Segment("response", 0.75)),  # Audio-Reasoner, arXiv 2503.02318
}
_TAG = re.compile(r"<(/?)(\w+)>")
_THINKING = re.compile(r"<think>(.*?)(?:</think>|\Z)", re.DOTALL | re.IGNORECASE)


def segments(text: str, format: Format) -> dict[str, str]:
    """The stripped text of each segment whose tag is opened and closed exactly once, after the segments before it.

    A segment inside another tag also needs that tag to be opened and closed exactly once around it.
    """
    places: dict[tuple[str, str], list[re.Match[str]]] = {}
    for found in _TAG.finditer(text):
        places.setdefault((found[2].lower(), found[1]), []).append(found)

    def span(tag: str) -> tuple[int, int, int, int] | None:
        opened, closed = places.get((tag, ""), []), places.get((tag, "/"), [])
        if len(opened) != 1 or len(closed) != 1 or closed[0].start() < opened[0].end():
            return None
        return opened[0].start(), opened[0].end(), closed[0].start(), closed[0].end()

    kept, reached = {}, 0
    for tag, _, inside in FORMATS[format]:
        own, outer = span(tag), span(inside) if inside else (0, 0, len(text), len(text))
        if own is not None and outer is not None and own[0] >= reached and outer[1] <= own[0] and own[3] <= outer[2]:
            kept[tag] = text[own[1] : own[2]].strip()
            reached = own[3]
    return kept


def has_structure(text: str, format: Format) -> bool:
    """Whether the whole text has the format: each tag once, in order, and only blanks between segments."""
    if format == "maybe_think":
        return has_structure(text, "think_answer") or has_structure(text, "answer")
    tags = {name for tag, _, inside in FORMATS[format] for name in (tag, inside) if name}
    found = [(match[2].lower(), match[1]) for match in _TAG.finditer(text) if match[2].lower() in tags]
    return len(found) == len(set(found)) == 2 * len(tags) and _whole(format).fullmatch(text) is not None


@lru_cache
def _whole(format: Format) -> re.Pattern[str]:
    parts, opened = [], ""
    for tag, _, inside in (*FORMATS[format], Segment("", 0)):
        if inside != opened:
            parts += [f"</{opened}>"] if opened else []
            parts += [f"<{inside}>"] if inside else []
            opened = inside
        parts += [f"<{tag}>.*?</{tag}>"] if tag else []
    return re.compile(r"\s*" + r"\s*".join(parts) + r"\s*", re.DOTALL | re.IGNORECASE)


def structure_reward(group: Group, format: Format, graded: bool = False) -> np.ndarray:
    """1 where a completion has the format, else 0; ``graded``: the sum of the shares of its segments. Shape (U,)."""
    if not graded:
        return np.array([float(has_structure(c.text, format)) for c in group.completions])
    shares = {segment.tag: segment.share for segment in FORMATS[format]}
    return np.array([sum(shares[tag] for tag in segments(c.text, format)) for c in group.completions])


def written(parts: Mapping[str, str], answer: str, format: Format) -> str:
    """A completion in this format. ``parts`` are the texts of its segments by tag; the last segment is ``answer``."""
    text, opened = "", ""
    *before, last = FORMATS[format]
    for tag, _, inside in before:
        text += f"<{inside}>" if inside != opened else ""
        text, opened = f"{text}<{tag}>{parts[tag]}</{tag}>", inside
    return f"{text}{f'</{opened}>' if opened else ''}<{last.tag}>{answer}</{last.tag}>"


def thinking(text: str) -> str:
    """The stripped text of the first ``<think>``, up to the end of the completion where it is not closed."""
    found = _THINKING.search(text)
    return found[1].strip() if found else ""


def has_thinking(text: str) -> bool:
    """Whether the text has thinking in it; an empty ``<think></think>`` is none."""
    return bool(thinking(text))


def length_reward(group: Group, words: int) -> np.ndarray:
    """1 where the thinking has ``words`` words, falling linearly to 0 at no words and at twice as many; shape (U,).

    AudSemThinker rewards thinking of 25 or 100 words. Its formula is not published; this one is ours.
    """
    lengths = np.array([len(thinking(c.text).split()) for c in group.completions], dtype=float)
    return np.maximum(0.0, 1 - np.abs(lengths - words) / words)
