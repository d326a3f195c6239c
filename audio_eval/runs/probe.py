"""How long a run will take: its method is run briefly on a few of its items, timed, and scaled up."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from audio_eval.errors import NotHere
from audio_eval.group import Group
from audio_eval.models.policy import Policy, TrainablePolicy
from audio_eval.questions import Example, Question
from audio_eval.rl.checkpoints import Large, interval
from audio_eval.rl.session import Ask, Session
from audio_eval.runs.cost import NO_ITEMS, Figures

T = TypeVar("T")

FIRST = 4  # questions to warm up with; their time shows whether a whole batch is affordable
ENOUGH = 2.0  # seconds of measuring that suffice
PATIENCE = 20.0  # seconds that a part of the probe may take beyond its minimum
BATCHES = 4  # batches to answer at most
STEPS = 5  # training steps to run at most; the first one warms up
_SAVED = 500_000_000  # with more trained weights the probe writes no checkpoint: it would be gigabytes


@dataclass
class Timing:
    """Seconds of a whole run by part, and what they were measured on."""

    votes: float
    steps: float
    answers: float
    curve: float
    device: str
    questions: int
    stepped: int  # training steps that were measured
    notes: list[str] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """All parts together."""
        return self.votes + self.steps + self.answers + self.curve


def probe(policy: Policy, figures: Figures) -> Timing:
    """Time the method on a few questions. Afterwards the policy is reset to its unadapted weights.

    Raises what the method raises.
    """
    scored, adapted, spec = figures.scored.questions, figures.adapted.questions, figures.spec
    if scored is None or adapted is None or figures.labelled.questions is None:
        raise NotHere(NO_ITEMS)
    server = getattr(figures.method.config, "judge_url", None) or spec.judge
    if figures.method.needs_judge and server:  # asking it may cost money; a policy that judges itself is probed
        raise NotHere("a dry run does not ask the judge that the method learns from")
    few = spread(adapted, FIRST + spec.batch_size)
    # enough items that every step meets new ones, as in a run
    many = spread(figures.examples, max(spec.batch_size, STEPS * getattr(figures.method.config, "batch_size", 0)))
    try:
        with TemporaryDirectory(prefix="audio-eval-") as folder:
            session = ProbeSession(Path(folder), spec.seed, spec.batch_size, many, save_every=spec.save_every)
            figures.method.adapt(policy, few, session)
        asked = spread(scored, FIRST + BATCHES * spec.batch_size)
        answers, answer = paced(lambda part: figures.method.predict(policy, part), asked, spec.batch_size)
    finally:
        if isinstance(policy, TrainablePolicy):
            policy.reset()
    if session.loops and figures.cost["steps"] is None:
        session.remarks.append("the number of steps follows from the few probed items: the method has no cost()")
    labelled = {example.question.id for example in many}
    of_examples, of_adapted = len(figures.examples) / max(1, len(many)), len(adapted) / len(few)
    return Timing(
        votes=sum(s * (of_examples if ids <= labelled else of_adapted) for s, ids in session.drawn),
        steps=session.seconds_of_steps(figures.cost["steps"]),
        answers=answer * len(scored),
        curve=answer * (figures.curve or 0),
        device=policy.info.device,
        questions=len({q.id for q in [*few, *asked[: len(answers)], *(e.question for e in many)]}),
        stepped=sum(len(loop.seconds) for loop in session.loops),
        notes=session.remarks,
    )


def spread(items: Sequence[T], most: int) -> list[T]:
    """At most ``most`` of the items, evenly spaced."""
    count = min(len(items), most)
    return [items[i * len(items) // count] for i in range(count)]


def paced(
    ask: Callable[[Sequence[Question]], Sequence[Any]], questions: Sequence[Question], size: int
) -> tuple[list[Any], float]:
    """The results of ``ask``, and seconds per question.

    The first few questions warm up. Then batches of ``size`` follow until they took ``ENOUGH`` seconds, or until the
    next one would take more than ``PATIENCE``. The seconds are the batches', or the first questions' if there are none.
    """
    began = time.perf_counter()
    found = list(ask(questions[:FIRST])) if questions else []
    each, spent = (time.perf_counter() - began) / max(1, len(found)), 0.0
    while len(found) < len(questions) and spent < ENOUGH and each * size <= PATIENCE:
        began = time.perf_counter()
        found += ask(questions[len(found) : len(found) + size])
        spent += time.perf_counter() - began
        each = spent / (len(found) - FIRST)
    return found, each


@dataclass
class Loop:
    """A loop of ``total`` steps, and the seconds of those that were done."""

    total: int
    seconds: list[float] = field(default_factory=list)

    @property
    def each(self) -> float:
        """Seconds per step. The first step warms up and counts only if it is the only one."""
        measured = self.seconds[1:] or self.seconds
        return sum(measured) / len(measured) if measured else 0.0


class ProbeSession(Session):
    """A session that times what a method does and ends its loops after a few steps."""

    def __init__(
        self, folder: Path, seed: int, batch_size: int, examples: Sequence[Example], save_every: int | None
    ) -> None:
        super().__init__(folder, seed, batch_size, examples, save_every=save_every)
        self.drawn: list[tuple[float, set[str]]] = []  # for each call of ``reduced``: seconds, and its questions' ids
        self.loops: list[Loop] = []
        self.remarks: list[str] = []
        self._saving: float | None = None  # seconds of a checkpoint
        self._apart = 0.0  # seconds of the current step that are not spent in every step
        self._scratch = folder / "checkpoint"

    def reduced(self, name: str, questions: Sequence[Question], ask: Ask, reduce: Callable[[Group], T]) -> list[T]:
        """Groups for as many questions as there is time for; the others are empty, as for unreadable audio."""
        began = time.perf_counter()
        groups, each = paced(ask, questions, self._batch_size)
        self.drawn.append((each * len(questions), {question.id for question in questions}))
        self._apart += time.perf_counter() - began
        groups += [Group(q, (), (), error="not probed") for q in questions[len(groups) :]]
        return [reduce(group) for group in groups]

    def steps(self, policy: TrainablePolicy, total: int) -> Iterator[int]:
        """A few steps between the first and the last. Steps may differ, and any may come next, as in a resumed run."""
        self.loops.append(loop := Loop(total))
        for step in (0, *spread(range(1, total), STEPS - 1)) if total else ():
            self._apart, began = 0.0, time.perf_counter()
            yield step
            loop.seconds.append(time.perf_counter() - began - self._apart)
            if sum(loop.seconds) > PATIENCE:
                break

    def step_done(self, policy: TrainablePolicy, step: int, total: int, metrics: dict[str, float]) -> None:
        """Time a checkpoint once; nothing is logged."""
        if self._saving is None:
            began = time.perf_counter()
            if policy.trained_parameters <= _SAVED:
                policy.save(self._scratch)
            else:
                self.remarks.append("without the writing of checkpoints")
            self._saving = time.perf_counter() - began
            whole = policy.checkpoint_bytes(False) if isinstance(policy, Large) else 0
            self._every = self._every or interval(whole)
            self._apart += self._saving

    def seconds_of_steps(self, steps: int | None) -> float:
        """Seconds of all loops with their checkpoints. ``steps`` is their number where the method says it.

        The loops' own numbers of steps may follow from the few items of the probe.
        """
        total = sum(loop.total for loop in self.loops)
        scale = steps / total if steps and total else 1.0
        saving = (self._saving or 0.0) / (self._every or 1)
        return scale * sum(loop.total * (loop.each + saving) for loop in self.loops)
