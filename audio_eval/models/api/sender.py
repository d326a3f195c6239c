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

IN_A_ROW = 8  # requests that fail, each after all its tries, with no answer in between: not the questions' fault
OVERLOADED = (408, 429, 502, 503, 504, 529)  # statuses of a server that cannot keep up
KEPT = "What was answered is kept: the same command goes on from there."


class Sender:
    """Sends through ``client``, as many requests at once as ``limiter`` allows. Threads share it."""

    def __init__(self, client: OpenAIClient, limiter: Limiter, retries: int, max_wait_s: float) -> None:
        self._client, self._limiter = client, limiter
        self._retries, self._max_wait_s = retries, max_wait_s
        self._backoff = wait_random_exponential(max=max_wait_s)
        self._lock = Lock()
        self._answered, self._failed = False, 0

    def send(self, request: dict[str, Any], stopped: Event, probing: bool = False) -> Outcome:
        """The outcome of the last try. ``probing``: whether the server takes such a request is not known yet.

        Raises ``UserError`` where the run must stop, lest questions are counted as wrong that nobody was asked: the key
        is refused, the model is not known, the server is gone, or ``IN_A_ROW`` requests have failed.
        """
        retrying = Retrying(
            stop=stop_after_attempt(self._retries + 1) | stop_when_event_set(stopped),
            wait=self._pause,
            retry=retry_if_result(lambda outcome: outcome.transient),
            retry_error_callback=lambda state: state.outcome and state.outcome.result(),
            sleep=sleep_using_event(stopped),
        )
        outcome: Outcome = retrying(self._try, request, stopped)
        if not stopped.is_set() and not (probing and refused(outcome)):
            self._check(outcome)
        return outcome

    def _try(self, request: dict[str, Any], stopped: Event) -> Outcome:
        with self._limiter.slot() as seen:
            if stopped.is_set():
                return Outcome(None, "the run was stopped")
            outcome = self._client.chat(**request)
        if outcome.error is None:
            self._limiter.success()
        elif outcome.transient and outcome.status in (None, *OVERLOADED):
            self._limiter.setback(seen, min(outcome.wait_s or 0.0, self._max_wait_s))
        return outcome

    def _pause(self, state: RetryCallState) -> float:
        """Seconds before the next try: what the server asks for, or a random time that grows, up to the longest."""
        assert state.outcome is not None
        return min(max(state.outcome.result().wait_s or 0.0, self._backoff(state)), self._max_wait_s)

    def _check(self, outcome: Outcome) -> None:
        with self._lock:
            if outcome.error is None:
                self._answered, self._failed = True, 0
                return
            answered = self._answered
            self._failed += not answered or outcome.transient or bool(outcome.mend)
            failed = self._failed
        kept = f" {KEPT}" if answered else ""
        # once there were answers, a 403 or 404 may be about this one question
        if outcome.mend and not outcome.transient and not (answered and outcome.status in (403, 404)):
            raise UserError(outcome.mend + kept)
        if outcome.mend and outcome.transient and not self._reachable():
            raise UserError(outcome.mend + kept)
        if failed >= IN_A_ROW:
            raise UserError(
                f"{failed} requests to {self._client.url} failed one after another, the last one with: "
                f"{outcome.error.rstrip('.')}.{kept}"
            )

    def _reachable(self) -> bool:
        """Whether the server says anything at all: if it does, the failed connection was this request's."""
        return self._client.models().status is not None or self._client.models().error is None


def refused(outcome: Outcome) -> bool:
    """Whether the server does not take this request, while another one may succeed."""
    return outcome.error is not None and not outcome.transient and outcome.status in (400, 413, 422, 501)
