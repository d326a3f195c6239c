"""The api policy: questions become chat requests, and the choices of the replies groups of completions."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from threading import Event, Lock
from typing import Any, TypeGuard

from audio_eval.audio import AudioError
from audio_eval.group import Completion, Group
from audio_eval.models.api.limiter import Limiter
from audio_eval.models.api.messages import Message, user_turn
from audio_eval.models.api.parallel import in_parallel
from audio_eval.models.api.sender import NO_COMPLETION, Sender, refused
from audio_eval.models.api.settings import ServerSettings
from audio_eval.models.backends import Limits
from audio_eval.models.policy import PolicyInfo, Sampling
from audio_eval.openai_client import OpenAIClient, Outcome
from audio_eval.questions import Question, too_long
from audio_eval.seeding import stream
from audio_eval.usage import Usage

log = logging.getLogger(__name__)
MILLION = 1_000_000


@dataclass
class Reply:
    """What came of one request, or of several: the completions, or the ``error`` that it ended with."""

    completions: list[Completion] = field(default_factory=list)
    error: str | None = None
    usage: Usage | None = None
    seconds: float = 0.0

    def add(self, other: Reply) -> None:
        """Take over a further reply to the same question."""
        self.completions += other.completions
        self.error = self.error or other.error
        self.usage = (self.usage or Usage()) + other.usage if other.usage else self.usage


class APIPolicy:
    """A Policy behind a server. It keeps no state but what it has learned of the server: whether that takes ``n``."""

    def __init__(
        self, model: str, client: OpenAIClient, settings: ServerSettings, limits: Limits, revision: str
    ) -> None:  # fmt: skip
        self.info = PolicyInfo(model, revision, "api", f"the server at {client.url}", trainable=False)
        self._client, self._settings, self._limits = client, settings, limits
        self._workers = settings.concurrency or limits.batch_size
        self._sender = Sender(client, Limiter(self._workers), settings.retries, settings.max_wait)
        self._lock = Lock()
        self._many = True  # whether the server gives several samples for one request, as far as is known

    def generate(self, questions: Sequence[Question], sampling: Sampling) -> list[Group]:
        """One Group per question, in order; the n samples of a question are one request where the server allows.

        Greedy decoding is asked for once, whatever n is. A question of which any request failed has an empty group.
        """
        drawn = sampling.n if sampling.temperature > 0 else 1
        replies = self._ask([(question, 0, drawn) for question in questions], sampling)
        rest = [
            (place, k)
            for place, reply in enumerate(replies) if reply.error is None
            for k in range(len(reply.completions), drawn)
        ]  # fmt: skip
        singles = self._ask([(questions[place], k, 1) for place, k in rest], sampling)
        for (place, _), reply in zip(rest, singles, strict=True):
            replies[place].add(reply)
        return [_group(question, reply, sampling, drawn) for question, reply in zip(questions, replies, strict=True)]

    def _ask(self, wanted: Sequence[tuple[Question, int, int]], sampling: Sampling) -> list[Reply]:
        """A reply for each (question, number of the first sample, number of samples), in order."""
        stopped = Event()
        jobs = [partial(self._reply, *each, sampling, stopped) for each in wanted]
        return in_parallel(jobs, self._workers, stopped)

    def _reply(self, question: Question, first: int, n: int, sampling: Sampling, stopped: Event) -> Reply:
        """``n`` completions, or fewer where the server gives fewer."""
        if reason := too_long(question):
            return Reply(error=reason)
        try:
            messages, seconds = self._messages(question)
        except AudioError as error:
            return Reply(error=str(error))
        request = self._request(question, messages, first, sampling)
        several = n > 1 and self._many
        outcome = self._sender.send(request | ({"n": n} if several else {}), stopped, probing=several)
        if several and refused(outcome):
            reason = outcome.error or ""
            outcome = self._sender.send(request, stopped)
            if outcome.error is None:
                self._one_by_one(reason)
        reply = self._read(outcome)
        reply.seconds = seconds
        if several and reply.error is None and len(reply.completions) < n:
            self._one_by_one(f"it gave {len(reply.completions)} of {n}")
        reply.completions = reply.completions[:n]
        return reply

    def _messages(self, question: Question) -> tuple[list[Message], float]:
        """The messages of a question, and the seconds of sound in them."""
        return user_turn(question, wav_only=self._settings.audio == "wav")

    def _completion(self, choice: Any) -> Completion:
        """A choice of a reply."""
        return Completion(self._client.clean(choice.message.content or ""), None, choice.finish_reason != "length")

    def _request(self, question: Question, messages: list[Any], first: int, sampling: Sampling) -> dict[str, Any]:
        settings, greedy = self._settings, sampling.temperature == 0
        request: dict[str, Any] = {
            "model": self.info.name,
            "messages": messages,
            "temperature": sampling.temperature,
            settings.max_tokens_name: sampling.max_tokens or self._limits.max_tokens,
        }
        if not greedy and sampling.top_p < 1:
            request["top_p"] = sampling.top_p
        if not greedy and sampling.top_k is not None:
            request["extra_body"] = {"top_k": sampling.top_k}  # not OpenAI's, but vLLM, SGLang and llama.cpp have it
        if sampling.stop:
            request["stop"] = list(sampling.stop)
        if settings.seed:
            # every sample that is asked for by itself has a stream of its own
            draw = stream(sampling.seed or 0, question.id, sampling.stream, first)
            request["seed"] = int(draw.integers(2**31))
        return request

    def _read(self, outcome: Outcome) -> Reply:
        if outcome.error is not None:
            return Reply(error=outcome.error)
        try:
            completions = [self._completion(choice) for choice in outcome.completion.choices]
        except (AttributeError, TypeError):  # the client does not check what it receives
            completions = []
        if not completions:
            return Reply(error=NO_COMPLETION)
        return Reply(completions, usage=self._usage(outcome.completion))

    def _usage(self, completion: Any) -> Usage:
        told = getattr(completion, "usage", None)
        prompt, answer = (getattr(told, f"{name}_tokens", None) for name in ("prompt", "completion"))
        if not (_is_count(prompt) and _is_count(answer)):
            return Usage(requests=1, untold=1)
        audio = getattr(getattr(told, "prompt_tokens_details", None), "audio_tokens", None)
        audio = audio if _is_count(audio) and audio <= prompt else 0
        s = self._settings
        cost = None
        if s.price_in is not None or s.price_out is not None:
            text_price = s.price_in or 0.0
            audio_price = text_price if s.price_audio is None else s.price_audio
            cost = ((prompt - audio) * text_price + audio * audio_price + answer * (s.price_out or 0.0)) / MILLION
        return Usage(requests=1, prompt_tokens=prompt, completion_tokens=answer, audio_tokens=audio, cost=cost)

    def _one_by_one(self, why: str) -> None:
        """Ask for samples one by one from now on, and say so once."""
        with self._lock:
            known, self._many = not self._many, False
        if not known:
            log.warning(
                "the server at %s gives one sample for a request (%s): samples are asked for one by one.",
                self._client.url, why,
            )  # fmt: skip


def _is_count(told: Any) -> TypeGuard[int]:
    """Whether it is a number of tokens: servers say anything."""
    return type(told) is int and 0 <= told < 2**53


def _group(question: Question, reply: Reply, sampling: Sampling, drawn: int) -> Group:
    if reply.error is not None:
        return Group(question, (), (), error=reply.error, usage=reply.usage)
    counted = Counter(reply.completions)  # in the order of the samples
    times = sampling.n // drawn
    return Group(
        question, tuple(counted), tuple(n * times for n in counted.values()), audio_seconds=reply.seconds,
        temperature=sampling.temperature or 1.0, usage=reply.usage,
    )  # fmt: skip
