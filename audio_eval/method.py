"""Method: the plug-in. Two hooks, a config, and flags that say what it needs and what it does with the scored items."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from audio_eval.models.policy import Policy
    from audio_eval.questions import Question
    from audio_eval.rl.session import Session


class MethodConfig(BaseModel):
    """Base of every method's settings; an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True)
class Cost:
    """What a method makes a policy do at most, for ``--dry-run``; completions are counted one by one."""

    votes: int = 0  # completions drawn before the first step: labels, pass rates
    steps: int = 0  # updates
    rollouts: int = 0  # completions drawn in all steps together
    trained: int = 0  # completions that pass through the gradient in all steps together
    answers: int = 0  # completions drawn to answer the scored items
    judged: int = 0  # completions that a judge is asked about


class Method:
    """Adapt a policy to questions without answers, then answer them.

    ``summary`` is one line for ``audio-eval ls methods``; ``paper`` its source. ``trains``: changes weights.
    ``needs_labels``: wants ``run.examples``, labelled items of a training task. ``transductive``: adapts on the scored
    items themselves, which every table says. ``needs_judge``: asks a model to judge. The last three may depend on the
    config. ``needs_choices``: adapts on multiple-choice questions only. ``presets`` are named settings:
    ``--method-args preset=NAME``.
    """

    name: ClassVar[str]
    summary: ClassVar[str] = ""
    paper: ClassVar[str] = ""
    Config: ClassVar[type[MethodConfig]] = MethodConfig
    trains: ClassVar[bool] = False
    needs_choices: ClassVar[bool] = False
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {}

    def __init__(self, config: MethodConfig | None = None) -> None:
        self.config = config if config is not None else self.Config()

    @property
    def needs_labels(self) -> bool:
        """Whether the method is to be given a training task's labels."""
        return False

    @property
    def transductive(self) -> bool:
        """Whether the method adapts on the scored items."""
        return False

    @property
    def needs_judge(self) -> bool:
        """Whether the method asks a judge, the policy itself or a server."""
        return False

    def cost(self, adapted: int, scored: int, labelled: int) -> Cost:
        """The most it takes to adapt on ``adapted`` questions or ``labelled`` examples and to answer ``scored``."""
        return Cost(answers=scored)

    def adapt(self, policy: Policy, questions: Sequence[Question], run: Session) -> None:
        """Change ``policy`` in place. The default leaves it as it is."""

    def predict(self, policy: Policy, questions: Sequence[Question]) -> list[str]:
        """One response a question, in order. The default is greedy decoding."""
        from audio_eval.models.policy import Sampling

        return [group.best() for group in policy.generate(questions, Sampling())]
