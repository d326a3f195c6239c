"""Scores of a run: a verdict an item by our rule and by the benchmark's own, and the figures drawn from them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from audio_eval.scoring import answer_text, parse_choice, score
from audio_eval.task import Task
from audio_eval.tasks.common import official_choices

SCORER = "choice@1"  # our rule and its version: it goes with every number


def score_items(task: Task, responses: Mapping[str, str], ids: Collection[str]) -> list[dict[str, Any]]:
    """One record for each item of ``ids``, in task order; an item without a response is wrong."""
    official = task.metadata.get("official")
    records = []
    for doc, question in zip(task.docs, task.questions, strict=True):
        if question.id not in ids:
            continue
        response, answer = responses.get(question.id, ""), task.answers[question.id]
        verdict = score("choice", response, question.choices, answer)
        theirs = score(official, answer_text(response), official_choices(doc), answer) if official else None
        records.append(
            {
                "id": question.id,
                "outcome": verdict.outcome,
                # a hidden answer leaves the verdict open, not what the response names
                "choice": verdict.choice if answer else parse_choice(response, question.choices),
                "why": verdict.why,
                "official": theirs.outcome if theirs else None,
                "groups": question.groups,
            }
        )
    return records


def accuracy(records: Sequence[Mapping[str, Any]], key: str = "outcome") -> float:
    """Share of correct records, 0 to 100."""
    return 100.0 * sum(r[key] == "correct" for r in records) / len(records) if records else 0.0


def breakdown(task: Task, records: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, dict[str, float]]]:
    """Accuracy and n of every group label the benchmark reports by."""
    tables: dict[str, dict[str, dict[str, float]]] = {}
    for label in task.metadata.get("groups", []):
        members = defaultdict(list)
        for record in records:
            members[record["groups"].get(label, "?")].append(record)
        tables[label] = {
            name: {"accuracy": round(accuracy(rows), 4), "n": len(rows)} for name, rows in sorted(members.items())
        }
    return tables


def figures(task: Task, records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The figures of a scored run; None where the benchmark hides its answers."""
    unparsable = sum(r["choice"] is None for r in records)
    scored = [r for r in records if r["official"] not in (None, "excluded")]
    hidden = task.hidden
    return {
        "accuracy": None if hidden else round(accuracy(records), 4),
        "n": len(records),
        "unparsable": round(100.0 * unparsable / len(records), 4) if records else 0.0,
        "unparsable_n": unparsable,
        "official": None
        if hidden or not task.metadata.get("official")
        else {"rule": task.metadata["official"], "accuracy": round(accuracy(scored, "official"), 4), "n": len(scored)},
        "groups": {} if hidden else breakdown(task, records),
    }


def oracle(task: Task, labels: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """What only the answers can tell of the pseudo-labels: their accuracy, and accuracy by bin of confidence.

    Computed after the adaptation, written apart, never fed back.
    """
    known = [label for label in labels if label["choice"] is not None and task.answers.get(label["id"])]
    if not known:
        return None
    choices = {q.id: q.choices for q in task.questions}
    right = [label["choice"] == parse_choice(task.answers[label["id"]], choices[label["id"]]) for label in known]
    edges = np.linspace(0, 1, 6)
    inside = np.clip(np.digitize([label["confidence"] for label in known], edges) - 1, 0, 4)
    bins = []
    for i in range(5):
        members = [r for r, bin_ in zip(right, inside, strict=True) if bin_ == i]
        mean = round(100.0 * sum(members) / len(members), 2) if members else None
        bins.append({"from": round(edges[i], 1), "to": round(edges[i + 1], 1), "n": len(members), "accuracy": mean})
    return {"label_accuracy": round(100.0 * sum(right) / len(right), 4), "labelled": len(known), "reliability": bins}
