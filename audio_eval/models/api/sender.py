"""Sends requests: tries again what may succeed later, and stops the run where nothing can."""

from __future__ import annotations

from threading import Event, Lock
from typing import Any

from tenacity import RetryCallState, Retrying, retry_if_result, stop_after_attempt, stop_when_event_set
from tenacity.nap import sleep_using_event
from tenacity.wait import wait_random_exponential

from audio_eval.errors import UserError
from audio_eval.models.api.limiter import Limiter
from audio_eval.openai_client import OpenAIClient, Outcome

IN_A_ROW = 8  # requests that a server refuses, one after another, before it has taken any
OVERLOADED = (408, 429, 502, 503, 504, 529)  # statuses of a server that cannot keep up
NO_COMPLETION = "the server's reply is not a chat completion"
KEPT = "What was answered is kept: the same command goes on from there."


class Sender:
    """Sends through ``client``, as many requests at once as ``limiter`` allows. Threads share it."""

    def __init__(self, client: OpenAIClient, limiter: Limiter, retries: int, max_wait_s: float) -> None:
        self._client, self._limiter = client, limiter
        self._retries, self._max_wait_s = retries, max_wait_s
        self._backoff = wait_random_exponential(max=max_wait_s)
        self._lock = Lock()
        self._answers, self._refusals = 0, 0  # so many answers in all, refusals since the last one

    def send(self, request: dict[str, Any], stopped: Event, probing: bool = False) -> Outcome:
        """The outcome of the last try. ``probing``: whether the server takes such a request is not known yet.

        Raises ``UserError`` where the run must stop, lest questions are counted as wrong that nobody was asked: the key
        is refused, the model is not known, the server answers nothing any more, or it takes no request at all.
        """
        outcome, before = self._tried(request, stopped)
        if outcome.error is not None and not stopped.is_set() and not (probing and refused(outcome)):
            self._check(outcome, before, request["model"], stopped)
        return outcome

    def _tried(self, request: dict[str, Any], stopped: Event) -> tuple[Outcome, int]:
        """The outcome of the last try, and how many answers there were when that began."""
        retrying = Retrying(
            stop=stop_after_attempt(self._retries + 1) | stop_when_event_set(stopped),
            wait=self._pause,
            retry=retry_if_result(lambda tried: tried[0].transient),
            retry_error_callback=lambda state: state.outcome and state.outcome.result(),
            sleep=sleep_using_event(stopped),
        )
        found: tuple[Outcome, int] = retrying(self._try, request, stopped)
        return found

    def _try(self, request: dict[str, Any], stopped: Event) -> tuple[Outcome, int]:
        with self._limiter.slot() as seen:
            before = self._answers
            if stopped.is_set():
                return Outcome(None, "the run was stopped"), before
            outcome = self._client.chat(**request)
        if outcome.error is None and not getattr(outcome.completion, "choices", None):
            outcome = Outcome(None, NO_COMPLETION)  # such as the page of a web server that is no model's
        if outcome.error is None:
            self._limiter.success()
            with self._lock:
                self._answers, self._refusals = self._answers + 1, 0
        elif outcome.transient and outcome.status in (None, *OVERLOADED):
            self._limiter.setback(seen, min(outcome.wait_s or 0.0, self._max_wait_s))
        return outcome, before

    def _pause(self, state: RetryCallState) -> float:
        """Seconds before the next try: what the server asks for, or a random time that grows, up to the longest."""
        assert state.outcome is not None
        outcome: Outcome = state.outcome.result()[0]
        return min(max(outcome.wait_s or 0.0, self._backoff(state)), self._max_wait_s)

    def _check(self, outcome: Outcome, before: int, model: str, stopped: Event) -> None:
        """``UserError`` unless the error is this one question's."""
        with self._lock:
            answered, alive = self._answers > 0, self._answers > before
            self._refusals += not outcome.transient and (not answered or bool(outcome.mend))
            refusals = self._refusals
        where, reason, kept = self._client.url, str(outcome.error).rstrip("."), f" {KEPT}" if answered else ""
        if outcome.transient:
            # a question may be more than a server can bear, which then still answers the simplest one
            simplest = {"model": model, "messages": [{"role": "user", "content": "Say yes."}], "max_tokens": 1}
            if not alive and self._tried(simplest, stopped)[0].transient and not stopped.is_set():
                raise UserError((outcome.mend or f"the server at {where} does not answer ({reason}).") + kept)
        # once there were answers, a 403 or 404 may be about this one question
        elif outcome.mend and not (answered and outcome.status in (403, 404)):
            raise UserError(outcome.mend + kept)
        elif refusals >= IN_A_ROW:
            raise UserError(f"the server at {where} refuses one request after another ({reason}).{kept}")


def refused(outcome: Outcome) -> bool:
    """Whether the server does not take this request, while another one may succeed."""
    return outcome.error is not None and not outcome.transient and outcome.status in (400, 413, 422, 501)
