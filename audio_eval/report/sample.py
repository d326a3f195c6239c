"""sample_record: one item of a run, or of several runs on the same items, as the JSON that sample.js draws."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal

from audio_eval.report.marks import answer_at
from audio_eval.runlog import Sample
from audio_eval.runlog.records import LabelRecord
from audio_eval.scoring import normalise, parse_choice
from audio_eval.scoring.options import prepare

Fate = Literal["fixed", "broken", "kept right", "kept wrong"]
FATES: dict[tuple[bool, bool], Fate] = {
    (False, True): "fixed", (True, False): "broken", (True, True): "kept right", (False, False): "kept wrong",
}  # fmt: skip
HEAD, TAIL = 3000, 5000  # characters that are shown of a longer response: its answer mostly stands at the end

# Replaced one for one, so that places stay: control characters by their pictures, what turns the direction of writing
# and what UTF-8 cannot hold by the replacement character.
_PICTURES = {code: 0x2400 + code for code in range(0x20) if chr(code) not in "\n\t"} | {0x7F: 0x2421}
_UNSEEN = re.compile("[\x80-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def sample_record(arms: Sequence[tuple[str, Sample]]) -> dict[str, Any]:
    """An item in each of its ``arms``, a name and what that run has of it; the baseline first, if there is one.

    Keys: ``id``, ``groups``, ``question``, ``prompt``, ``options``, ``gold`` (None: hidden, or not scored yet),
    ``gold_at`` (index of that option), ``heard`` (of an audio ablation), ``fate`` (from the first to the last arm; None
    unless there are two and both are scored), and ``arms``. Of each arm: ``name``, ``response``, ``marks`` (``[start,
    end]`` in characters of what was extracted), ``choice``, ``readable``, ``right``, ``why``, ``confidence``, ``votes``
    (what was sampled to answer) and ``label`` (what it adapted to), ``measures``, ``notes``. All texts are ``legible``.
    """
    sample = arms[-1][1]
    question, gold = sample.question, next((s.gold for _, s in reversed(arms) if s.gold), None)
    rights = [_right(sample) for _, sample in arms]
    fate = FATES[rights[0], rights[-1]] if len(arms) > 1 and rights[0] is not None and rights[-1] is not None else None
    return {
        "id": legible(question.id),
        "groups": {legible(kind): legible(name) for kind, name in question.groups.items()},
        "question": legible(question.question),
        "prompt": legible(question.prompt),
        "options": list(map(legible, question.choices)),
        "gold": None if gold is None else legible(gold),
        "gold_at": None if gold is None else prepare(question.choices).first.get(normalise(gold)),
        "heard": question.heard and legible(question.heard),
        "fate": fate,
        "arms": [_arm(name, sample) for name, sample in arms],
    }


def legible(text: str) -> str:
    """The text with a visible character in place of each that is not seen, or that would turn what stands around it."""
    return _UNSEEN.sub("\ufffd", text.translate(_PICTURES))


def _right(sample: Sample) -> bool | None:
    return None if sample.score is None or sample.score.outcome == "excluded" else sample.score.outcome == "correct"


def _arm(name: str, sample: Sample) -> dict[str, Any]:
    response, score, choices = sample.response, sample.score, sample.question.choices
    text = response.response if response else ""
    choice = score.choice if score else parse_choice(text, choices) if choices else None
    place = answer_at(text, choices, choice)
    shown, marks = _shortened(text, [place] if place else [])
    notes = []
    if response and response.unreadable:
        notes.append(f"The recording could not be read: {response.unreadable}")
    if response and response.truncated:
        notes.append("The recording is longer than the model's window and was cut.")
    if score and score.judge_reply:
        notes.append(f"The judge said: {score.judge_reply}")
    return {
        "name": legible(name),
        "response": legible(shown) if response else None,
        "marks": marks,
        "choice": choice,
        "readable": score.answered if score else None,
        "right": _right(sample),
        "why": legible(score.unread or score.why) if score else "",
        "confidence": response.confidence if response else None,
        "votes": _votes(sample),
        "label": _label(sample.label, choices) if sample.label else None,
        "measures": score.measures if score else {},
        "notes": [legible(note) for note in notes],
    }


def _shortened(text: str, marks: list[tuple[int, int]]) -> tuple[str, list[list[int]]]:
    """The head and the tail of a long text, and the marks in what is left of it."""
    if len(text) <= HEAD + TAIL:
        return text, [list(mark) for mark in marks]
    left_out = len(text) - HEAD - TAIL
    between = f"\n[... {left_out:,} characters left out ...]\n"
    later = len(between) - left_out
    kept = [[a, b] if b <= HEAD else [a + later, b + later] for a, b in marks if b <= HEAD or a >= HEAD + left_out]
    return text[:HEAD] + between + text[-TAIL:], kept


def _votes(sample: Sample) -> dict[str, Any] | None:
    """How many of the samples behind an answer named each option, and how many none.

    Samples of several groups answered views of the item, whose options may have stood in another order. Of these only
    those count that name an option in any order, as its text does; the others, such as letters, are ``unplaced``.
    """
    choices, groups = sample.question.choices, sample.completions
    if not groups or not choices:
        return None
    turned = (*choices[1:], choices[0])
    counts, unreadable, unplaced = Counter[int](), 0, 0
    for text, n in (pair for group in groups for pair in group):
        named = parse_choice(text, choices)
        if named is None:
            unreadable += n
        elif len(groups) > 1 and _text(parse_choice(text, turned), turned) != choices[named]:
            unplaced += n
        else:
            counts[named] += n
    return {"counts": [counts[i] for i in range(len(choices))], "unreadable": unreadable, "unplaced": unplaced}


def _text(choice: int | None, choices: Sequence[str]) -> str | None:
    return None if choice is None else choices[choice]


def _label(label: LabelRecord, choices: Sequence[str]) -> dict[str, Any]:
    """The votes on a pseudo-label by option; ``share`` where they are probabilities and no counts."""
    tally = dict(label.tally)  # the first of several options with the same text has their votes
    return {
        "choice": label.choice,
        "confidence": label.confidence,
        "counts": [tally.pop(choice, 0) for choice in choices],
        "unreadable": label.unparsable,
        "unplaced": 0,
        "share": any(isinstance(n, float) for n in label.tally.values()),
    }
