"""What a run will take, counted before it runs: items, audio, completions, tokens. Nothing is decoded or sampled."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from audio_eval.audio import RATE, AudioError, AudioRef
from audio_eval.errors import NotHere, UserError
from audio_eval.method import Cost, Method
from audio_eval.models.backends import choose
from audio_eval.models.catalog import find_model
from audio_eval.models.policy import MeasuresPrompts, Policy
from audio_eval.questions import Example, Question
from audio_eval.runlog.spec import RunSpec
from audio_eval.runs.inputs import Loader, check_learned_from, check_scored
from audio_eval.scoring.graders import Graders

NO_ITEMS = "the items are not known"
UNSAID = "the method does not say: it has no cost()"
# Where the items are not known, the cost of two numbers of items is compared: what is equal does not depend on them.
_FEW, _MANY = 1_000, 10_000


@dataclass
class Part:
    """The questions of one use (None, and ``why``, where they are not here); the hours of recordings."""

    questions: Sequence[Question] | None
    why: str = ""
    hours: float | None = None
    longest: float = 0.0  # seconds of the longest recording
    unreadable: int = 0  # recordings that cannot be read

    @property
    def count(self) -> int | None:
        """The number of questions; None: not known."""
        return None if self.questions is None else len(self.questions)


@dataclass
class Tokens:
    """Tokens of the distinct prompts: of the longest, in total, and the audio part of the total; and of completions."""

    prompts: int
    longest: int
    total: int
    audio: int
    completions: int | None  # at most; None where the number of completions is not known


@dataclass
class Figures:
    """What is known of a run before it runs. None means not known; ``missing`` says why, by the line of the report."""

    spec: RunSpec
    method: Method
    scored: Part
    adapted: Part
    labelled: Part  # empty for a method that takes no labels
    examples: Sequence[Example]
    cost: dict[str, int | None]
    curve: int | None  # completions of --curve-every
    judge_calls: int | None
    missing: dict[str, str] = field(default_factory=dict)

    @property
    def completions(self) -> int | None:
        """All completions that are sampled, at most."""
        parts = [self.cost["votes"], self.cost["rollouts"], self.cost["answers"], self.curve]
        known = [part for part in parts if part is not None]
        return sum(known) if len(known) == len(parts) else None

    @property
    def longest(self) -> float:
        """Seconds of the longest recording; 0 where none is known."""
        return max(part.longest for part in (self.scored, self.adapted, self.labelled))

    @property
    def questions(self) -> list[Question]:
        """The distinct questions whose items are here."""
        parts = (self.scored, self.adapted, self.labelled)
        return list({(q.id, q.prompt): q for part in parts for q in part.questions or ()}.values())


class Counter:
    """Counts what a run will take; tasks stay loaded from one spec to the next."""

    def __init__(self) -> None:
        self._loader = Loader(audio_needed=False)
        self._seconds: dict[AudioRef, float | None] = {}
        self._absent: dict[str, str] = {}  # why a model is not here

    def figures(self, spec: RunSpec) -> Figures:
        """The figures of a spec. Raises ``UserError`` where a run would, except for absent data and models."""
        Graders.of(spec.judge, spec.judge_model, None)
        load, method = self._loader, self._loader.method(spec)
        scored = _part(lambda: load.scored_on(spec))
        adapted = _part(lambda: load.adapted_on(spec))
        labelled = _part(lambda: [example.question for example in load.examples(spec, method)])
        examples = load.examples(spec, method) if labelled.questions else ()
        if scored.questions is not None:
            check_scored(load.task(spec))
        if labelled.questions or (adapted.questions and not method.needs_labels):
            check_learned_from(spec, method, labelled.questions or adapted.questions or ())
        missing = {"items": why} if (why := scored.why or labelled.why or adapted.why) else {}
        for part in (scored, adapted, labelled):
            self._measure(part)
            if part.questions and part.hours is None:
                missing["audio"] = "none of the recordings is there"
        cost = known_cost(method, adapted, scored, labelled)
        found = Figures(spec, method, scored, adapted, labelled, examples, cost, None, None, missing)
        if None in cost.values():
            missing["completions"] = NO_ITEMS if _says_cost(method) else UNSAID
        found.curve = _curve(spec, scored.count, found.cost["steps"])
        found.judge_calls = self._judge_calls(spec, scored, found.cost["judged"])
        return found

    def policy(self, spec: RunSpec) -> Policy:
        """The unadapted policy; ``NotHere`` where it cannot be loaded from this machine."""
        if spec.model not in self._absent:
            try:
                # from where it was found, not by its name: a hub id would be looked up, and fetched, on the hub
                found = {"model": self.locate(spec), "backend": spec.backend or find_model(spec.model).backend}
                return self._loader.policy(spec.model_copy(update=found))
            except UserError as error:
                self._absent[spec.model] = " ".join(str(error).split()).rstrip(".")
        raise NotHere(self._absent[spec.model])

    @staticmethod
    def locate(spec: RunSpec) -> str:
        """Where the model is; ``NotHere`` where it is not on this machine: a dry run downloads nothing."""
        return choose(spec.model, spec.backend, spec.model_args).locate()

    def _judge_calls(self, spec: RunSpec, scored: Part, judged: int | None) -> int | None:
        """The method's calls, and one per response where a judge grades the task."""
        if judged is None or not spec.judge:
            return judged
        if scored.count is None:
            return None
        return judged + (scored.count if self._loader.task(spec).scorer.asks_judge else 0)

    def _measure(self, part: Part) -> None:
        """Set the hours of ``part``."""
        if part.questions is None:
            return
        recordings = {recording for question in part.questions for recording in question.audios}
        for audio in recordings - self._seconds.keys():
            self._seconds[audio] = seconds_of(audio)
        read = [s for audio in recordings if (s := self._seconds[audio]) is not None]
        part.unreadable = len(recordings) - len(read)
        part.hours = sum(read) / 3600 if read or not recordings else None
        part.longest = max(read, default=0.0)


def seconds_of(audio: AudioRef) -> float | None:
    """The length of a recording, found without decoding it; None where it cannot be read."""
    try:
        return audio.length() / RATE
    except AudioError:
        return None


def known_cost(method: Method, *parts: Part) -> dict[str, int | None]:
    """The fields of ``method.cost`` for the adapted, scored and labelled ``parts``.

    None for what depends on items that are not here, and for everything where the method does not say.
    """
    names = [f.name for f in fields(Cost)]
    if not _says_cost(method):
        return dict.fromkeys(names)
    few, many = (
        method.cost(*(absent if part.count is None else part.count for part in parts)) for absent in (_FEW, _MANY)
    )
    return {name: getattr(few, name) if getattr(few, name) == getattr(many, name) else None for name in names}


def count_tokens(policy: MeasuresPrompts, figures: Figures) -> Tokens:
    """Prompt tokens by the model's tokenizer and, from the recordings' lengths, its family's formula."""
    lengths = [policy.prompt_length(question) for question in figures.questions]
    longest = max(length.tokens for length in lengths)
    total, audio = (sum(values) for values in zip(*lengths, strict=True))
    drawn, most = figures.completions, getattr(figures.method.config, "max_tokens", None) or figures.spec.max_tokens
    return Tokens(len(lengths), longest, total, audio, None if drawn is None else drawn * most)


def _part(load: Callable[[], Sequence[Question]]) -> Part:
    try:
        return Part(load())
    except NotHere as error:
        return Part(None, " ".join(str(error).split()))


def _says_cost(method: Method) -> bool:
    """Whether the method has a ``cost`` of its own, or none of the hooks that the default one does not know."""
    cls: Any = type(method)
    return cls.cost is not Method.cost or (cls.adapt is Method.adapt and cls.predict is Method.predict)


def _curve(spec: RunSpec, scored: int | None, steps: int | None) -> int | None:
    """Completions of the curve: all scored items, before the first step and every ``curve_every`` steps."""
    if not spec.curve_every or steps == 0:
        return 0
    return None if scored is None or steps is None else scored * (1 + steps // spec.curve_every)
