"""Task: a loaded benchmark, with questions for methods and answers for the scorer."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import sha256
from typing import Any, NamedTuple

from audio_eval import prompts
from audio_eval.audio import AudioRef
from audio_eval.data import Provenance
from audio_eval.data.records import ClipRef, check_fields, check_places, slots
from audio_eval.errors import UserError, unknown
from audio_eval.prompts import PromptTemplate
from audio_eval.questions import Example, Question
from audio_eval.scoring.figures import Figures
from audio_eval.scoring.graders import Graders
from audio_eval.scoring.rules import Rule, find_rule
from audio_eval.scoring.scorer import ScoredItem, Scorer
from audio_eval.scoring.scorers import find_scorer, try_scorer
from audio_eval.scoring.scorers.choice import Choice
from audio_eval.scoring.scores import Score
from audio_eval.seeding import stream
from audio_eval.task_index import TASKS_DIR, listing

# For responses to an unknown prompt: letters count the slots as in the official file.
AS_FILED = PromptTemplate("not recorded", "{{ question }}{% if slots %}{% endif %}")
Slots = tuple[str | None, ...]


class Scored(NamedTuple):
    """The scores of a run, and what the graders say of themselves (empty where nobody graded)."""

    scores: list[Score]
    graded: dict[str, Any]


@dataclass
class Task:
    """A loaded task. ``answers`` are by question id, "" where the benchmark hides them.

    ``letters`` are the options as a letter in a response counts them, which is what ``official``, the benchmark's own
    rule, is given. ``provenance`` says what was read; None where the items are built in. ``definition`` is a
    fingerprint of the task's YAML.
    """

    name: str
    split: str
    prompt: PromptTemplate
    questions: list[Question]
    answers: dict[str, str] = field(repr=False)
    letters: dict[str, Slots] = field(repr=False)
    docs: list[dict[str, Any]] = field(repr=False)
    metadata: dict[str, Any]
    provenance: Provenance | None = None
    permute: int | None = None
    scorer: Scorer = field(default_factory=Choice)
    official: Rule | None = None
    definition: str = ""

    @property
    def label(self) -> str:
        """The name in tables; a split other than ``test`` is part of it."""
        return self.name if self.split == "test" else f"{self.name}:{self.split}"

    @property
    def source(self) -> str:
        """The name of the source that was read."""
        return self.provenance.source if self.provenance else "built in"

    @property
    def hidden(self) -> bool:
        """Whether the benchmark publishes no answers."""
        return not any(self.answers.values())

    def ordered(self, places: Mapping[str, int]) -> Task:
        """The same items in another order: each at the place that its id has in ``places``."""
        return replace(
            self,
            questions=sorted(self.questions, key=lambda question: places[question.id]),
            docs=sorted(self.docs, key=lambda doc: places[doc["id"]]),
        )

    @cached_property
    def examples(self) -> list[Example]:
        """Questions with their answers, for a *training* task."""
        written = {doc["id"]: doc["meta"].get("rationale", {}) for doc in self.docs}
        return [Example(q, self.answers[q.id], written[q.id]) for q in self.questions]

    @cached_property
    def _by_id(self) -> dict[str, Question]:
        return {question.id: question for question in self.questions}

    def question(self, id_: str) -> Question:
        """The question with this id."""
        return self._by_id[id_]

    @cached_property
    def _meta(self) -> dict[str, dict[str, Any]]:
        return {doc["id"]: doc["meta"] for doc in self.docs}

    def item(self, id_: str) -> ScoredItem:
        """What the scorer sees of the item with this id."""
        question = self.question(id_)
        return ScoredItem(
            id=id_,
            question=question.question,
            answer=self.answers[id_],
            choices=question.choices,
            slots=self.letters.get(id_, question.choices),
            official=self.official,
            groups=question.groups,
            meta=self._meta.get(id_, {}),
            tagged=self.prompt.tagged,
        )

    def score(self, responses: Mapping[str, str], ids: Collection[str], graders: Graders | None = None) -> Scored:
        """Score the items of ``ids``, in the task's order; an item without a response is scored as the empty one."""
        items = [self.item(question.id) for question in self.questions if question.id in ids]
        said = [responses.get(item.id, "") for item in items]
        scores = [self.scorer.score(item, text) for item, text in zip(items, said, strict=True)]
        return Scored(scores, self.scorer.grade(items, said, scores, graders or Graders()))

    def stray_golds(self, ids: Collection[str]) -> list[str]:
        """Those of ``ids`` whose gold answer is none of the options, so that no response to them can be right."""
        items = (self.item(question.id) for question in self.questions if question.id in ids)
        return [item.id for item in items if item.answer and item.choices and item.answer not in item.choices]

    def figures(self, scores: Sequence[Score], graded: Mapping[str, Any] | None = None) -> Figures:
        """What the scores add up to, broken down by the task's groups."""
        rule = self.official.name if self.official else None
        return self.scorer.figures(scores, graded, self.metadata.get("groups", ()), rule)

    @property
    def prompt_version(self) -> str:
        """The prompt's name and version, and the order of options, as recorded with a number."""
        return self.prompt.version + ("" if self.permute is None else f", options permuted by seed {self.permute}")

    @cached_property
    def revision(self) -> str:
        """The task's version and a fingerprint of its items: ids, questions, choices, answers."""
        digest = sha256()
        for doc in self.docs:
            digest.update(json.dumps([doc["id"], doc["question"], doc["choices"], doc["answer"]]).encode())
        return f"{self.metadata.get('version')}+{digest.hexdigest()[:12]}"


def load_task(
    name: str, prompt: str | PromptTemplate | None = None, data_dir: str | None = None, limit: int | None = None,
    include_path: str | None = None, source: str | None = None, permute: int | None = None,
) -> Task:  # fmt: skip
    """Load ``task`` or ``task:split`` through lm-eval's TaskManager, and separate its questions from its answers.

    Without a split: test, else validation, else train. Without a ``prompt`` the task's own standard one is taken.
    ``permute`` is a seed for another order of each item's options. ``UserError`` for an unknown name, for data that
    cannot be read, and for a scorer or a rule of the user's that does not work.
    """
    from lm_eval.tasks import TaskManager

    base, _, split = name.partition(":")
    known = listing(include_path)
    base, *others = known.expand([base])
    if others:
        raise UserError(f"'{name}' is a group: name one of its tasks, {', '.join([base, *others])}.")
    own, home, where = known.tasks[base], known.files[base].parent, f" of task '{base}'"
    definition = known.definition(base)  # reads, and checks, what the YAML includes before lm-eval does
    scoring = str(own.get("scoring", "choice"))
    scorer = find_scorer(scoring, home, where)
    official = find_rule(str(own["official"]), home, where) if own.get("official") else None
    read: list[tuple[Any, Provenance]] = []
    metadata = {
        "data_dir": data_dir, "source": source, "splits": [split or "test"], "limit": limit,
        "on_read": lambda data, provenance: read.append((data, provenance)),
    }  # fmt: skip
    manager = TaskManager(include_path=str(TASKS_DIR), include_defaults=False, metadata=metadata)
    try:  # by its file, so that lm-eval reads none of those beside it
        loaded = manager.load([str(known.files[base])])["tasks"][base]
    except UserError:
        raise
    except Exception as error:  # of lm-eval, or of a converter in a module of the user's
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise UserError(f"task '{base}' ({known.files[base]}) cannot be loaded: {reason:.300}.") from error
    available = {
        "train": loaded.config.training_split,
        "validation": loaded.config.validation_split,
        "test": loaded.config.test_split,
    }
    if available["test"] == available["train"]:  # a task with training items alone, as lm-eval needs a test split
        available["test"] = None
    split = split or next(name for name in ("test", "validation", "train") if available[name])
    if not available.get(split):
        raise unknown("split", split, [s for s, there in available.items() if there], f" of task '{base}'")
    data = loaded.dataset[available[split]]
    docs = [dict(doc) for doc in data][:limit]
    if not docs:
        raise UserError(f"task '{name}' has no items.")
    check_fields(docs, own.get("groups", ()), where)
    if loaded.config.custom_dataset is None:  # no code of ours or the user's has made the records
        check_places(docs, [*filter(None, (data_dir, include_path)), *_named(loaded.config.dataset_kwargs)], where)
    template = (
        prompt if isinstance(prompt, PromptTemplate) else prompts.find(prompt or own.get("prompt", prompts.DEFAULT))
    )
    ordered = {doc["id"]: _slots(doc, permute) for doc in docs}
    questions = [_question(doc, ordered[doc["id"]], template) for doc in docs]
    answers = {doc["id"]: doc["answer"] for doc in docs}
    if len(answers) < len(docs):
        raise UserError(f"task '{name}' has items that share an id: {len(docs) - len(answers)} too many.")
    letters: dict[str, Slots] = {q.id: q.choices if template.lettered else ordered[q.id] for q in questions}
    task = Task(
        base, split, template, questions, answers, letters, docs, own, _provenance(read, data), permute, scorer,
        official, definition,
    )  # fmt: skip
    item = task.item(next((id_ for id_, answer in answers.items() if answer), questions[0].id))
    if ":" in scoring:
        try_scorer(scorer, item, f"scoring '{scoring}'{where}")
    for response in (item.answer, ""):
        if official:
            official(response, item.slots, item.answer)  # a user's rule that fails is told of before anything runs
    return task


def _named(settings: Mapping[str, Any] | None) -> list[str]:
    """The folders of the data files that a YAML names."""
    files = (settings or {}).get("data_files") or []
    named = files.values() if isinstance(files, Mapping) else [files]
    return [os.path.dirname(str(file)) for each in named for file in (each if isinstance(each, list) else [each])]


def _provenance(read: Sequence[tuple[Any, Provenance]], data: Any) -> Provenance | None:
    """That of the split itself; where it was made from what was read, that of the only thing that was."""
    found = [provenance for split, provenance in read if split is data] or [provenance for _, provenance in read]
    return found[0] if len(found) == 1 else None


def _slots(doc: dict[str, Any], permute: int | None) -> Slots:
    """The options with their null slots, in the order asked for."""
    own = slots(doc)
    if permute is None:
        return tuple(own)
    return tuple(own[place] for place in stream(permute, "choices", doc["id"]).permutation(len(own)))


def _question(doc: dict[str, Any], options: Slots, prompt: PromptTemplate) -> Question:
    audio = doc["audio"]
    # In a prompt that shows null slots letters count them; "" stands for a null slot.
    choices = tuple(slot or "" for slot in options if slot is not None or prompt.slotted)
    return Question(
        id=doc["id"],
        audio=_recording(audio) if audio["path"] else None,
        question=doc["question"],
        choices=choices,
        prompt=prompt.render(doc["question"], choices),
        groups=doc["groups"],
        paraphrases=tuple(doc["meta"].get("paraphrases", ())),
        template=prompt,
        more_audio=tuple(_recording(clip) for clip in doc["more_audio"]),
    )


def _recording(clip: ClipRef) -> AudioRef:
    return AudioRef(path=clip["path"], sha256=clip["sha256"] or None)
