"""Task: a benchmark as the harness sees it: questions for methods, answers for the scorer."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any

from audio_eval import prompts
from audio_eval.audio import AudioRef
from audio_eval.errors import UserError, unknown
from audio_eval.questions import Example, Question

TASKS_DIR = Path(str(files("audio_eval.tasks")))


@dataclass
class Task:
    """A loaded task. ``answers`` are by question id, "" where the benchmark hides them."""

    name: str
    split: str
    questions: list[Question]
    answers: dict[str, str] = field(repr=False)
    docs: list[dict[str, Any]] = field(repr=False)
    metadata: dict[str, Any]

    @property
    def hidden(self) -> bool:
        """Whether the benchmark keeps its answers to itself."""
        return not any(self.answers.values())

    @cached_property
    def examples(self) -> list[Example]:
        """Question and answer together, for a *training* task."""
        return [Example(q, self.answers[q.id]) for q in self.questions]


def load_task(
    name: str, prompt: str = "r1_aqa", data_dir: str | None = None, limit: int | None = None,
    include_path: str | None = None,
) -> Task:  # fmt: skip
    """Load ``task`` or ``task:split`` through lm-eval's TaskManager and part its questions from its answers."""
    from lm_eval.tasks import TaskManager

    base, _, split = name.partition(":")
    folders = [str(TASKS_DIR), *([include_path] if include_path else [])]
    metadata = {"data_dir": data_dir, "splits": [split or "test"], "limit": limit}
    manager = TaskManager(include_path=folders, include_defaults=False, metadata=metadata)
    if base not in manager.all_tasks:
        raise unknown("task", base, manager.all_tasks)
    loaded = manager.load([base])["tasks"][base]
    available = {
        "train": loaded.config.training_split,
        "validation": loaded.config.validation_split,
        "test": loaded.config.test_split,
    }
    split = split or ("test" if available["test"] else "validation")
    if not available.get(split):
        raise unknown("split", split, [s for s, there in available.items() if there], f" of task '{base}'")
    docs = [dict(doc) for doc in loaded.dataset[available[split]]][:limit]
    if not docs:
        raise UserError(f"task '{name}' has no items.")
    questions = [_question(doc, prompt) for doc in docs]
    answers = {doc["id"]: doc["answer"] for doc in docs}
    if len(answers) < len(docs):
        raise UserError(f"task '{name}' has items that share an id: {len(docs) - len(answers)} too many.")
    return Task(base, split, questions, answers, docs, dict(loaded.config.metadata or {}))


def _question(doc: dict[str, Any], prompt: str) -> Question:
    choices, audio = tuple(doc["choices"]), doc["audio"]
    return Question(
        id=doc["id"],
        audio=AudioRef(path=audio["path"], sha256=audio["sha256"] or None) if audio["path"] else None,
        question=doc["question"],
        choices=choices,
        prompt=prompts.render(prompt, doc["question"], choices),
        groups=json.loads(doc["groups"]),
    )
