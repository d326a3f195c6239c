"""Log-likelihoods of continuations of plain text, as lm-eval's hf model has them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from audio_eval.errors import UserError
from audio_eval.group import Completion, Group
from audio_eval.models.policy import ReadsTokens
from audio_eval.questions import Question

Tokens = tuple[int, ...]


class Likelihood(NamedTuple):
    """The log-likelihood of pair number ``place`` in nats, and whether greedy decoding gives the continuation."""

    place: int
    value: float
    greedy: bool


def likelihoods(
    policy: ReadsTokens, pairs: Sequence[tuple[Tokens, Tokens]], max_length: int, at_once: int
) -> Iterator[Likelihood]:
    """Of each pair (context, continuation), in any order; a context that several share is forwarded once.

    Of what is longer than ``max_length`` the beginning of the context is left out. ``at_once`` contexts are scored
    together, the longest first. ``UserError`` for a continuation without tokens, or longer than the model takes.
    """
    shared: dict[Tokens, dict[Tokens, list[int]]] = defaultdict(lambda: defaultdict(list))
    for place, (context, continuation) in enumerate(pairs):
        kept = (context + continuation)[-(max_length + 1) :]  # of the last token nothing is predicted
        cut = len(kept) - len(continuation)
        if cut < 1 or not continuation:
            raise UserError(f"a continuation of {len(continuation)} tokens cannot be scored in {max_length}.")
        shared[kept[:cut]][continuation].append(place)
    contexts = sorted(shared, key=len, reverse=True)
    for start in range(0, len(contexts), at_once):
        asked = [_given(context, list(shared[context])) for context in contexts[start : start + at_once]]
        for group in policy.logprobs(asked):
            for completion in group.completions:
                value, greedy = sum(completion.logprobs or ()), bool(completion.greedy)
                for place in shared[group.question.tokens or ()][completion.token_ids]:
                    yield Likelihood(place, value, greedy)


def _given(context: Tokens, continuations: Sequence[Tokens]) -> Group:
    question = Question("", None, "", (), "", tokens=context)
    return Group(question, tuple(Completion("", tokens) for tokens in continuations), (1,) * len(continuations))
