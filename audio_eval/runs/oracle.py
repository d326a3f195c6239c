"""Oracle metrics of an adaptation: what its labels and rollouts look like beside the answers.

They are computed after the adaptation, from what it left on the disk, and never fed back. The names are TTRL's
(PRIME-RL/TTRL verl/utils/reward_score/ttrl/ttt_metrics.py), each a mean over the questions of a step:
``label_accuracy``: the pseudo-label is right; ``reward_accuracy``: share of samples whose reward says rightly whether
they are right; ``ground_truth_ratio`` (avg@n): share of samples that are right; ``pass``: any sample is right.
``post_``: the same for the samples that were trained on, where these are only part of them. ``aux_``, for open answers:
BLEU, ROUGE-L, exact match and number of words of the samples (OP-TTRAV's ttrl_aux_metrics.py), for readers only.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from audio_eval.runlog import RunLog
from audio_eval.scoring import parse_choice, score
from audio_eval.scoring.open_ended import final_answer, measure
from audio_eval.task import Task

EDGES = np.arange(6) / 5  # of the bins of confidence in the reliability plot
NAMES = ("label_accuracy", "reward_accuracy", "ground_truth_ratio", "pass")
SAME = 1e-4  # pseudo-reward and true reward agree within this difference (OP-TTRAV)

Record = Mapping[str, Any]


def of_run(task: Task, folder: Path) -> dict[str, Any] | None:
    """Write ``oracle.jsonl``, one record per step; returns the figures of the labels and of the last step."""
    log = RunLog(folder)
    fixed = log.labels.file.read()
    renewed = {record["id"]: record for record in log.relabels.file.read()}
    sure = log.confidences()  # as the method uses it
    labels = [{**label, "confidence": sure[label["id"]]} for label in fixed or renewed.values()]
    steps = of_rollouts(task, log.rollouts.file.read())
    if steps:
        log.oracle.file.keep(steps)
    found = of_labels(task, labels) or {}
    return found | ({"last_step": steps[-1]} if steps else {}) or None


def of_labels(task: Task, labels: Sequence[Record]) -> dict[str, Any] | None:
    """Accuracy of the pseudo-labels, in all and by bin of confidence (reliability plot); None without labels."""
    known = [label for label in labels if label["label"] is not None and task.answers.get(label["id"])]
    if not known:
        return None
    right = [_right(task, label["id"], label["label"]) for label in known]
    inside = np.clip(np.digitize([label["confidence"] for label in known], EDGES) - 1, 0, len(EDGES) - 2)
    bins = []
    for i in range(len(EDGES) - 1):
        members = [r for r, bin_ in zip(right, inside, strict=True) if bin_ == i]
        mean = round(100.0 * fmean(members), 2) if members else None
        bins.append({"from": round(EDGES[i], 1), "to": round(EDGES[i + 1], 1), "n": len(members), "accuracy": mean})
    return {"label_accuracy": round(100.0 * fmean(right), 4), "labelled": len(known), "reliability": bins}


def of_rollouts(task: Task, rollouts: Iterable[Record]) -> list[dict[str, float]]:
    """One record per step, shares 0 to 1. Questions of other tasks and without a published answer are left out."""
    steps: dict[int, list[dict[str, float]]] = defaultdict(list)
    for record in rollouts:
        known = task.answers.get(record["id"]) and record["completions"]
        if known and sorted(record["choices"]) == sorted(task.question(record["id"]).choices):
            steps[record["step"]].append(_of_group(task, record))
    found = []
    for step, rows in sorted(steps.items()):
        names = dict.fromkeys(name for row in rows for name in row)
        means = {name: round(fmean(row[name] for row in rows if name in row), 6) for name in names}
        found.append({"step": step, **means})
    return found


def _of_group(task: Task, record: Record) -> dict[str, float]:
    texts, sampled, trained, correctness = zip(*record["completions"], strict=True)
    answer = task.answers[record["id"]]
    rule = "choice" if record["choices"] else "contains_em"
    true = np.array([score(rule, text, record["choices"], answer).outcome == "correct" for text in texts], float)
    known = np.array([value is not None for value in correctness])
    agree = np.abs(np.array([value or 0.0 for value in correctness]) - true) < SAME
    found = {}
    if record["label"] is not None:
        found["label_accuracy"] = float(_right(task, record["id"], record["label"]))
    parts = [("", np.array(sampled))]
    if sum(trained) and tuple(trained) != tuple(sampled):
        parts.append(("post_", np.array(trained)))
    for prefix, counts in parts:
        if (counts * known).any():
            found[f"{prefix}reward_accuracy"] = float(np.average(agree[known], weights=counts[known]))
        found[f"{prefix}ground_truth_ratio"] = float(np.average(true, weights=counts))
        found[f"{prefix}pass"] = float((true * counts).any())
    return found if record["choices"] else {**found, **_auxiliary(texts, sampled, answer)}


def _auxiliary(texts: Sequence[str], counts: Sequence[int], answer: str) -> dict[str, float]:
    rows = [
        (m.bleu, m.rouge_l, float(m.exact), len(final_answer(text).split()))
        for text, m in ((text, measure(text, answer)) for text in texts)
    ]
    means = np.average(rows, axis=0, weights=counts).tolist()
    return dict(zip(("aux_bleu", "aux_rouge_l", "aux_exact", "aux_words"), means, strict=True))


def _right(task: Task, id_: str, label: str) -> bool:
    """Whether a pseudo-label is the answer: the same option, or for an open question a text that contains it."""
    choices = task.question(id_).choices
    if choices:
        return parse_choice(label, choices) == parse_choice(task.answers[id_], choices)
    return score("contains_em", label, (), task.answers[id_]).outcome == "correct"
