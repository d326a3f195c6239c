"""Scores of a run: a record an item, by our rule and by the benchmark's own, and the figures drawn from them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from audio_eval.questions import Question
from audio_eval.scoring import answer_text, parse_choice, score
from audio_eval.scoring.open_ended import final_answer, measure
from audio_eval.task import Task

# What decides "correct" by a task's kind of scoring, with its version: it goes with every number.
SCORERS = {"choice": "choice@2", "open": "contains_em@1", "win_rate": "preferred@1", "none": "none"}
# Further figures of open answers: a record's key, and what makes percent of it.
METRICS = {"bleu": 100.0, "rouge_l": 100.0, "exact": 100.0, "similarity": 100.0, "grade": 10.0, "preference": 100.0}

Record = dict[str, Any]


def score_items(task: Task, responses: Mapping[str, str], ids: Collection[str]) -> list[Record]:
    """One record for each item of ``ids``, in task order; an item without a response is wrong.

    What takes a model to score (grades, preferences, similarity) is added by ``graders``.
    """
    one = _SCORE[task.scoring]
    return [
        {"id": q.id, **one(task, q, responses.get(q.id, "")), "groups": q.groups} for q in task.questions if q.id in ids
    ]


def _choice(task: Task, question: Question, response: str) -> Record:
    official, answer = task.metadata.get("official"), task.answers[question.id]
    verdict = score("choice", response, question.choices, answer)
    theirs = score(official, answer_text(response), task.letters[question.id], answer) if official else None
    # a hidden answer leaves the verdict open, not what the response names
    choice = verdict.choice if answer else parse_choice(response, question.choices)
    return {
        "outcome": verdict.outcome,
        "answered": choice is not None,
        "choice": choice,
        "why": verdict.why,
        "official": theirs.outcome if theirs else None,
    }


def _open(task: Task, question: Question, response: str) -> Record:
    answer = task.answers[question.id]
    verdict, measures = score("contains_em", response, (), answer), measure(response, answer)
    return {
        "outcome": verdict.outcome,
        "answered": bool(final_answer(response)),
        "why": verdict.why,
        "bleu": measures.bleu,
        "rouge_l": measures.rouge_l,
        "exact": measures.exact,
    }


def _unjudged(task: Task, question: Question, response: str) -> Record:
    return {"outcome": "excluded", "answered": bool(final_answer(response)), "why": "not judged"}


_SCORE: dict[str, Callable[[Task, Question, str], Record]] = {
    "choice": _choice,
    "open": _open,
    "win_rate": _unjudged,
    "none": _unjudged,
}


def accuracy(records: Sequence[Mapping[str, Any]], key: str = "outcome") -> float:
    """Share of correct records, 0 to 100."""
    return 100.0 * sum(r[key] == "correct" for r in records) / len(records) if records else 0.0


def breakdown(task: Task, records: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, dict[str, Any]]]:
    """Accuracy and n of every group label that the benchmark's own script prints, by our rule and by its own."""
    tables: dict[str, dict[str, dict[str, Any]]] = {}
    for label in task.metadata.get("groups", []):
        members = defaultdict(list)
        for record in records:
            members[record["groups"].get(label, "?")].append(record)
        tables[label] = {
            name: {"accuracy": round(accuracy(rows), 4), "n": len(rows), "official": official(task, rows)}
            for name, rows in sorted(members.items())
        }
    return tables


def official(task: Task, records: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """The benchmark's own rule with its own n: it may drop items; None where it has none."""
    if not task.metadata.get("official"):
        return None
    kept = [r for r in records if r["official"] != "excluded"]
    return {"rule": task.metadata["official"], "accuracy": round(accuracy(kept, "official"), 4), "n": len(kept)}


def figures(task: Task, records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The figures of a scored run; None where nothing can be scored: hidden answers, no judge.

    Only those two exclude an item, and the judge that could not be read; what our rules cannot read is wrong.
    """
    known = [r for r in records if r["outcome"] != "excluded"]
    records = known or records
    silent = sum(not r["answered"] for r in records)
    return {
        "accuracy": round(accuracy(records), 4) if known else None,
        "n": len(records),
        "unparsable": round(100.0 * silent / len(records), 4) if records else 0.0,
        "unparsable_n": silent,
        "official": official(task, records) if known else None,
        "groups": breakdown(task, records) if known else {},
        "metrics": metrics(records),
    }


def metrics(records: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """Means of the further figures, 0 to 100, each over the n items that have one."""
    found = {}
    for key, factor in METRICS.items():
        values = [float(r[key]) for r in records if r.get(key) is not None]
        if values:
            found[key] = {"value": round(factor * sum(values) / len(values), 4), "n": len(values)}
    return found
