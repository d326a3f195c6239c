"""Counts of a task's items, from its metadata alone: groups, two groups crossed, options, chance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from audio_eval.letters import letter_at
from audio_eval.scoring import RULES
from audio_eval.scoring.chance import chance
from audio_eval.task import Task
from audio_eval.terminal import say

MOST_KINDS = 60


def print_counts(task: Task) -> None:
    """Print the counts; recordings are not read."""
    say(f"  items: {len(task.questions)}, source {task.source}, data {task.revision}")
    for file, digest in task.provenance.files.items() if task.provenance else ():
        say(f"  {file}: sha256 {digest}")
    labels = list(task.metadata.get("groups", []))
    for label in labels:
        _line(label, (q.groups.get(label, "?") for q in task.questions))
    if len(labels) > 1:
        pair = labels[:2]
        _line(" x ".join(pair), (", ".join(q.groups.get(label, "?") for label in pair) for q in task.questions))
    for key, values in _further(task).items():
        _line(key, values)
    if not any(q.choices for q in task.questions):
        return
    _line("number of options", (str(len(q.choices)) for q in task.questions))
    if task.hidden:
        return
    places = (_place(task.answers[q.id], q.choices) for q in task.questions)
    _line("place of the answer", places)
    by_index = 100.0 * sum(1 / len(q.choices) for q in task.questions) / len(task.questions)
    say(f"  a uniform guess among the options: {by_index:.2f} % by index")
    for rule in [RULES["choice"], *filter(None, [task.official])]:
        rate = chance(rule, [(task.letters[q.id], task.answers[q.id]) for q in task.questions])
        say(f"  a uniform guess among the options: {rate:.2f} % by {rule.name}")


def _further(task: Task) -> dict[str, list[str]]:
    """Further fields of the official file that divide the items into a few kinds."""
    metas = [doc["meta"] for doc in task.docs]
    found = {}
    for key in dict.fromkeys(key for meta in metas for key in meta):
        values = [meta.get(key) for meta in metas]
        plain = all(value is None or isinstance(value, str) for value in values)
        if plain and len(set(values)) <= min(MOST_KINDS, len(values) // 2):
            found[key] = ["none" if value is None else value for value in values]
    return found


def _place(answer: str, choices: tuple[str, ...]) -> str:
    return letter_at(choices.index(answer)) if answer in choices else "none"


def _line(label: str, values: Iterable[str]) -> None:
    counts = sorted(Counter(values).items(), key=lambda entry: (-entry[1], entry[0]))
    say(f"  {label} ({len(counts)}): {'; '.join(f'{name} {n}' for name, n in counts)}")
