"""What a run will take, before it runs: items, audio, completions, tokens; by counting, nothing is decoded or drawn."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audio_eval.audio import AudioRef
from audio_eval.errors import NotHere, UserError
from audio_eval.method import Cost, Method
from audio_eval.models.catalog import find_model
from audio_eval.models.policy import Policy
from audio_eval.questions import Example, Question
from audio_eval.registry import method_class
from audio_eval.runs.execute import Executor, check_learned_from, check_scored
from audio_eval.runs.graders import Graders
from audio_eval.runlog.spec import RunSpec

if TYPE_CHECKING:
    from audio_eval.models.hf.inputs import QuestionEncoder

NO_ITEMS = "the items are not known"
UNSAID = "the method does not say: it has no cost()"
# numbers of items to try a cost at where the items are not known: what is the same at both does not depend on them
_FEW, _MANY = 1_000, 10_000


@dataclass
class Part:
    """Questions of one use, None where they are not here and ``why``; hours of their distinct recordings by header."""

    questions: Sequence[Question] | None
    why: str = ""
    hours: float | None = None
    unreadable: int = 0  # recordings whose header cannot be read

    @property
    def count(self) -> int | None:
        """How many; None: not known."""
        return None if self.questions is None else len(self.questions)


@dataclass
class Tokens:
    """Prompts of the distinct questions: tokens of the longest, of all, the audio among them; and of completions."""

    prompts: int
    longest: int
    total: int
    audio: int
    completions: int | None  # at most; None where the number of completions is not known


@dataclass
class Figures:
    """What is known of a plan without running it. A value of None is not known, ``missing`` says why by its line."""

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
        """Everything that is drawn, at most."""
        parts = [self.cost["votes"], self.cost["rollouts"], self.cost["answers"], self.curve]
        known = [part for part in parts if part is not None]
        return sum(known) if len(known) == len(parts) else None

    @property
    def questions(self) -> list[Question]:
        """The distinct questions that are here."""
        parts = (self.scored, self.adapted, self.labelled)
        return list({(q.id, q.prompt): q for part in parts for q in part.questions or ()}.values())


class Counter(Executor):
    """An Executor that counts instead of running; tasks stay loaded from one spec to the next."""

    def __init__(self) -> None:
        super().__init__(audio_needed=False)
        self._seconds: dict[AudioRef, float | None] = {}
        self._absent: dict[str, str] = {}  # why a model is not here

    def figures(self, spec: RunSpec) -> Figures:
        """The figures of a spec. Raises ``UserError`` as a run does, but for data and models that are not here."""
        Graders.of(spec.judge, spec.judge_model, None)
        method = method_class(spec.method)(method_class(spec.method).Config(**spec.method_args))
        alone = spec.model_copy(update={"adapt_task": None})
        scored = _part(lambda: self._parts(alone, self._task(spec, spec.task))[1])
        adapted = _part(lambda: self._parts(spec, self._task(spec, spec.task))[0])
        labelled = _part(lambda: [example.question for example in self._examples(spec, method)])
        examples = self._examples(spec, method) if labelled.questions else ()
        if scored.questions is not None:
            check_scored(self._task(spec, spec.task))
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
                return self._load(spec.model_copy(update={"model": local_source(spec.model)}))
            except UserError as error:
                self._absent[spec.model] = " ".join(str(error).split()).rstrip(".")
        raise NotHere(self._absent[spec.model])

    def _judge_calls(self, spec: RunSpec, scored: Part, judged: int | None) -> int | None:
        """The method's, and one a response where a judge grades the task."""
        if judged is None or not spec.judge:
            return judged
        if scored.count is None:
            return None
        return judged + (scored.count if self._task(spec, spec.task).scoring in ("open", "win_rate") else 0)

    def _measure(self, part: Part) -> None:
        """Put the hours into ``part``."""
        if part.questions is None:
            return
        recordings = {question.audio for question in part.questions if question.audio is not None}
        for audio in recordings - self._seconds.keys():
            self._seconds[audio] = seconds_by_header(audio)
        read = [s for audio in recordings if (s := self._seconds[audio]) is not None]
        part.unreadable = len(recordings) - len(read)
        part.hours = sum(read) / 3600 if read or not recordings else None


def local_source(model: str) -> str:
    """The folder a model is loaded from; ``NotHere`` for a hub model not in the cache whole: nothing is downloaded."""
    source = find_model(model).source
    if Path(source).expanduser().is_dir():
        return model
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        folder = Path(snapshot_download(source, local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError):
        raise NotHere(f"{source} is not on this machine: a dry run downloads no model") from None
    index = folder / "model.safetensors.index.json"
    weights = set(json.loads(index.read_text())["weight_map"].values()) if index.is_file() else {"model.safetensors"}
    if absent := sorted(name for name in weights if not (folder / name).is_file()):
        raise NotHere(f"{source} is not whole on this machine ({absent[0]} is missing): a dry run downloads no model")
    return str(folder)


def seconds_by_header(audio: AudioRef) -> float | None:
    """Seconds as the header of the recording's file promises; None where it cannot be read."""
    import soundfile

    try:
        return float(soundfile.info(audio.path if audio.data is None else io.BytesIO(audio.data)).duration)
    except (soundfile.SoundFileError, RuntimeError, OSError, TypeError):
        return None


def known_cost(method: Method, *parts: Part) -> dict[str, int | None]:
    """``method.cost`` of the adapted, scored and labelled ``parts`` by its fields.

    None for what depends on items that are not here, and for everything where the method does not say.
    """
    names = [f.name for f in fields(Cost)]
    if not _says_cost(method):
        return dict.fromkeys(names)
    few, many = (
        method.cost(*(absent if part.count is None else part.count for part in parts)) for absent in (_FEW, _MANY)
    )
    return {name: getattr(few, name) if getattr(few, name) == getattr(many, name) else None for name in names}


def count_tokens(encoder: QuestionEncoder, figures: Figures) -> Tokens:
    """Prompt tokens by the model's tokenizer and, from the recordings' headers, its family's formula."""
    total = audio = longest = 0
    for question in (questions := figures.questions):
        asked = encoder.ask(question)
        heard = asked.tokens - len(asked.ids)
        tokens = asked.tokens - (1 if heard else 0)  # the placeholder gives way to the clip
        total, audio, longest = total + tokens, audio + heard, max(longest, tokens)
    drawn, most = figures.completions, getattr(figures.method.config, "max_tokens", None) or figures.spec.max_tokens
    return Tokens(len(questions), longest, total, audio, None if drawn is None else drawn * most)


def _part(load: Callable[[], Sequence[Question]]) -> Part:
    try:
        return Part(load())
    except NotHere as error:
        return Part(None, " ".join(str(error).split()))


def _says_cost(method: Method) -> bool:
    """Whether ``cost`` is the method's own, or the default one of a method that keeps the default hooks."""
    cls: Any = type(method)
    return cls.cost is not Method.cost or (cls.adapt is Method.adapt and cls.predict is Method.predict)


def _curve(spec: RunSpec, scored: int | None, steps: int | None) -> int | None:
    """Completions of the curve: all scored items before the first step and every so many steps."""
    if not spec.curve_every or steps == 0:
        return 0
    return None if scored is None or steps is None else scored * (1 + steps // spec.curve_every)
