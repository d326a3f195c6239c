"""Method: the plug-in. Two hooks, a config, and properties that say what it needs and what it learns from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, ConfigDict

from audio_eval.errors import UserError

if TYPE_CHECKING:
    from audio_eval.group import Group
    from audio_eval.models.policy import Policy
    from audio_eval.questions import Question
    from audio_eval.rl.session import Session


class MethodConfig(BaseModel):
    """Base class of every method's settings. An unknown key is an error, and so is an infinite number."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


@dataclass(frozen=True)
class Cost:
    """The most that a method makes a policy do, for ``--dry-run``. Completions are counted one by one."""

    votes: int = 0  # completions sampled before the first step, for labels or pass rates
    steps: int = 0  # training steps
    rollouts: int = 0  # completions sampled in all steps together
    trained: int = 0  # completions trained on in all steps together
    answers: int = 0  # completions sampled to answer the scored items
    judged: int = 0  # completions that a judge is asked about
    scored: int = 0  # questions whose options are scored, each once for every view


@dataclass(frozen=True)
class Prediction:
    """The response to a question, and what is behind it.

    ``groups`` are samples, such as those that voted; ``likelihoods`` the log-probabilities of options that were scored,
    by their text. ``confidence`` is how sure the method is, 0 to 1: of a vote its share. None where it does not know.
    """

    text: str
    groups: tuple[Group, ...] = ()
    confidence: float | None = None
    likelihoods: Mapping[str, float] = field(default_factory=dict)


class Method:
    """Adapts a policy to questions without answers, then answers questions.

    ``summary`` is one line for ``audio-eval ls methods``, ``paper`` the source. ``trains``: it changes weights.
    ``needs_choices``: it is for multiple-choice questions only. ``presets`` are named settings, chosen by
    ``--method-args preset=NAME``; "small" is for very small models. ``seed`` is the run's: every ``Sampling`` and
    every random draw of the method takes it.
    """

    name: ClassVar[str]
    summary: ClassVar[str] = ""
    paper: ClassVar[str] = ""
    Config: ClassVar[type[MethodConfig]] = MethodConfig
    trains: ClassVar[bool] = False
    needs_choices: ClassVar[bool] = False
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {}

    def __init__(self, config: MethodConfig | None = None, seed: int = 0) -> None:
        self.config, self.seed = config if config is not None else self.Config(), seed

    @property
    def needs_labels(self) -> bool:
        """Whether it learns from ``run.examples``, the labelled items of a training task."""
        return False

    @property
    def transductive(self) -> bool:
        """Whether it adapts on the scored items, which every table then says."""
        return False

    @property
    def needs_logprobs(self) -> bool:
        """Whether it scores given completions, which not every model can (``ScoresCompletions``)."""
        return False

    @property
    def needs_judge(self) -> bool:
        """Whether it asks a model to judge: the policy itself, or one behind a server."""
        return False

    def cost(self, adapted: int, scored: int, labelled: int) -> Cost:
        """The most it takes to adapt on ``adapted`` questions or ``labelled`` examples and answer ``scored`` ones."""
        return Cost(answers=scored)

    def adapt(self, policy: Policy, questions: Sequence[Question], run: Session) -> None:
        """Change ``policy`` in place. The default does nothing."""

    def predict(self, policy: Policy, questions: Sequence[Question]) -> list[Prediction | str]:
        """One response per question, in order; plain strings will do. The default is greedy decoding."""
        from audio_eval.models.policy import Sampling

        return [Prediction(group.best()) for group in policy.generate(questions, Sampling(seed=self.seed))]


def check_answers(answers: object, due: int, method: str) -> None:
    """``UserError`` for what a method must not return: an object of ids, or one text, would be taken for a list."""
    if not isinstance(answers, (list, tuple)):
        raise UserError(f"method '{method}' gave no list of responses, but a {type(answers).__name__}.")
    for answer in answers:
        text = answer.text if isinstance(answer, Prediction) else answer
        if not isinstance(text, str):
            raise UserError(f"method '{method}' gave a {type(text).__name__} as a response, no text.")
        sure = answer.confidence if isinstance(answer, Prediction) else None
        if sure is not None and not (isinstance(sure, (int, float)) and isfinite(sure)):
            raise UserError(f"method '{method}' gave a confidence that is no number: {sure!r:.80}.")
    if len(answers) != due:
        raise UserError(f"method '{method}' gave {len(answers)} responses to {due} questions.")
