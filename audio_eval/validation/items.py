"""Checks of questions, options and gold answers, from the metadata alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from audio_eval.letters import letter_at
from audio_eval.scoring import Rule
from audio_eval.scoring.scorer import ScoredItem, Scorer
from audio_eval.task import Slots, Task
from audio_eval.validation.report import Finding

NO_ANSWER = "items without an answer"
NO_CHOICE = "gold answers that are no choice"
GOLD_WRONG = "gold answers that do not score in the standard format"
DUPLICATES = "items with duplicate choices"
EMPTY = "items with an empty choice"
ALIKE = "choices that the official rule cannot tell apart"
GOLD_OFFICIALLY_WRONG = "gold answers that the official rule scores wrong"
NO_GOLD = "gold checks skipped"

# Says an option to a rule, by its text or by its letter.
Say = Callable[[Slots, int], str]


def check_items(task: Task) -> tuple[list[Finding], list[Finding]]:
    """Errors and notes about the items."""
    notes = list(_choices(task))
    items = [task.item(question.id) for question in task.questions]
    golds = [task.scorer.gold(item) for item in items]
    if not any(golds):
        return [], [*notes, Finding(NO_GOLD, "", f"scorer '{task.scorer.label}' has no gold to check")]
    if task.hidden:
        return [], [*notes, Finding(NO_GOLD, "", "answers are not published")]
    if task.scorer.closed and task.official:
        notes += _official(items, task.official)
    return list(_gold(task.scorer, items, golds)), notes


def _gold(scorer: Scorer, items: Sequence[ScoredItem], golds: Sequence[str | None]) -> Iterator[Finding]:
    """The response of a perfect model must score as correct."""
    for item, gold in zip(items, golds, strict=True):
        if not item.answer:
            yield Finding(NO_ANSWER, item.id, "other items of the task have one")
        elif scorer.closed and item.choices and item.answer not in item.choices:
            yield Finding(NO_CHOICE, item.id, f"{item.answer!r} is none of {list(item.choices)}")
        elif gold is not None and (score := scorer.score(item, gold)).outcome != "correct":
            yield Finding(GOLD_WRONG, item.id, f"{item.answer!r} by {scorer.name}: {score.why}")


def _choices(task: Task) -> Iterator[Finding]:
    # Of the file's own choices: a prompt may show null slots as empty options.
    for doc in task.docs:
        twice = [choice for choice, n in Counter(doc["choices"]).items() if n > 1]
        if twice:
            gold = ", one of them the gold" if doc["answer"] in twice else ""
            yield Finding(DUPLICATES, doc["id"], f"{', '.join(map(repr, twice))}{gold}")
        if any(not choice.strip() for choice in doc["choices"]):
            yield Finding(EMPTY, doc["id"], f"{doc['choices']}")


def _official(items: Sequence[ScoredItem], rule: Rule) -> Iterator[Finding]:
    """Where the benchmark's own rule fails at its purpose. That is no error of the data: the rule is kept."""
    golds = [(item, item.slots.index(item.answer)) for item in items if item.answer and item.answer in item.slots]

    def right(item: ScoredItem, place: int, say: Say) -> bool:
        return rule(say(item.slots, place), item.slots, item.answer).outcome == "correct"

    # A rule reads texts (MMAU, MMAR) or letters (MMSU, Daily-Omni): it reads the form in which more golds are right.
    say = max((_text, _letter), key=lambda form: sum(right(item, place, form) for item, place in golds))
    for item, place in golds:
        slots, answer = item.slots, item.answer
        if not right(item, place, say):
            yield Finding(GOLD_OFFICIALLY_WRONG, item.id, f"{answer!r}, given as {say(slots, place)!r}")
        others = [i for i, slot in enumerate(slots) if slot and slot != answer]
        passing = list(dict.fromkeys(slots[i] for i in others if right(item, i, say)))
        if passing:
            yield Finding(ALIKE, item.id, f"gold {answer!r}; also right: {', '.join(map(repr, passing))}")


def _text(slots: Slots, place: int) -> str:
    return slots[place] or ""


def _letter(slots: Slots, place: int) -> str:
    return letter_at(place)
