"""Servers with faults: what is tried again, when, and what ends a run."""

from __future__ import annotations

import time
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from threading import Timer

import pytest

from audio_eval.errors import UserError
from audio_eval.models.backends import load_policy
from audio_eval.models.policy import Sampling
from tests.models.api.conftest import KEY, served
from tests.models.api.test_policy import ask, echo
from tests.openai_server import HANG_UP, Answer, OpenAIServer, completion, failure, prompt

MANY = [ask(str(i)) for i in range(60)]
FAULTS = [
    failure(429, "slow down"), failure(500, "oops"), failure(502, "bad gateway"), failure(503, "loading"),
    failure(408, "slow"), HANG_UP, completion("late", delay=0.6),
]  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS, ids=["429", "500", "502", "503", "408", "reset", "timeout"])
def test_a_passing_fault_costs_no_answer(fault: Answer) -> None:
    """Every third request fails."""
    with OpenAIServer(lambda request, number: fault if number % 3 == 1 else echo(request)) as server:
        policy = served(server.url, timeout=0.3)
        groups = policy.generate(MANY[:9], Sampling())
    assert [group.best() for group in groups] == [f"say {i}" for i in range(9)]
    assert len(server.requests) > 9


def test_one_question_that_always_fails_is_that_questions_error() -> None:
    def script(request: dict, _: int) -> Answer:
        return {"say 3": HANG_UP, "say 5": failure(503, "no")}.get(prompt(request), echo(request))

    with OpenAIServer(script) as server:
        groups = served(server.url, retries=1).generate(MANY[:12], Sampling())
    assert [i for i, group in enumerate(groups) if group.error] == [3, 5]
    assert "503" in str(groups[5].error)


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_the_pause_that_the_server_asks_for_is_kept(form: str) -> None:
    def script(request: dict, number: int) -> Answer:
        if number:
            return echo(request)
        at = datetime.now(timezone.utc) + timedelta(seconds=3)  # a date has no fractions of a second
        return failure(429, "x", retry_after="1.5" if form == "seconds" else format_datetime(at, usegmt=True))

    with OpenAIServer(script) as server:
        policy, began = served(server.url, max_wait=30), time.monotonic()
        policy.generate(MANY[:1], Sampling())
    assert 1.5 <= time.monotonic() - began < 5


def test_a_pause_has_a_longest_time() -> None:
    script = lambda request, number: failure(503, "x", retry_after="3600") if number == 0 else echo(request)  # noqa: E731
    with OpenAIServer(script) as server:
        began = time.monotonic()
        served(server.url, max_wait=0.1).generate(MANY[:1], Sampling())
    assert time.monotonic() - began < 3


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (failure(401, f"Incorrect key {KEY}"), r"refuses the key \(401\): set OPENAI_API_KEY"),
        (failure(403, "no"), r"refuses the key \(403\)"),
        (failure(404, "no model 'm'"), r"does not know the model 'm'"),
        (failure(402, "pay"), "no credit left"),
        (failure(429, "quota", code="insufficient_quota"), "no credit left"),
    ],
)
def test_what_no_request_can_survive_ends_the_run_at_once(answer: Answer, words: str) -> None:
    with OpenAIServer(lambda *_: answer) as server, pytest.raises(UserError, match=words) as caught:
        served(server.url, concurrency=2).generate(MANY, Sampling())
    assert "\n" not in str(caught.value) and KEY not in str(caught.value)
    assert len(server.requests) <= 4


@pytest.mark.parametrize("status", [400, 422])
def test_a_server_that_takes_no_request_at_all_ends_the_run(status: int) -> None:
    with OpenAIServer(lambda *_: failure(status, "unknown field 'seed'")) as server:
        for sampling in (Sampling(), Sampling(n=3, temperature=1.0, seed=0)):
            with pytest.raises(UserError, match=r"refuses one request after another.*unknown field 'seed'"):
                served(server.url).generate(MANY, sampling)
    assert len(server.requests) < 2 * len(MANY)


@pytest.mark.parametrize("body", [b"<html>welcome</html>", b"{}", b'{"choices": []}', b"null"])
def test_a_server_that_is_no_chat_server_ends_the_run(body: bytes) -> None:
    words = r"refuses one request after another \(the server's reply is not"
    with OpenAIServer(lambda *_: Answer(200, body)) as server, pytest.raises(UserError, match=words):
        served(server.url).generate(MANY, Sampling())
    assert len(server.requests) < len(MANY)


def test_a_server_that_hangs_in_the_middle_ends_the_run() -> None:
    script = lambda request, number: echo(request) if number < 10 else failure(503, "engine is dead")  # noqa: E731
    with OpenAIServer(script) as server:
        policy = served(server.url, batch_size=60, retries=1)
        with pytest.raises(UserError, match=r"does not answer .*engine is dead.*same command goes on from there"):
            policy.generate(MANY, Sampling())
    assert len(server.requests) < 100, "not every question is tried in vain"


def test_a_server_that_dies_in_the_middle_ends_the_run() -> None:
    with OpenAIServer(lambda request, _: completion(prompt(request), delay=0.05)) as server:
        policy = served(server.url, concurrency=2, retries=2)
        Timer(0.3, server.close).start()
        with pytest.raises(UserError, match=r"cannot reach the server.*same command goes on from there"):
            policy.generate(MANY, Sampling())


def test_no_server_at_the_start_is_one_line() -> None:
    with OpenAIServer(echo) as server:
        pass
    with pytest.raises(UserError, match=r"cannot reach the server at http://127.0.0.1.*is the server running"):
        served(server.url)


def test_a_run_that_stops_does_not_wait_for_a_slow_server() -> None:
    def script(request: dict, number: int) -> Answer:
        return failure(401, "no") if prompt(request) == "say 0" else completion("late", delay=3)

    began = time.monotonic()
    with OpenAIServer(script) as server, pytest.raises(UserError, match="401"):
        served(server.url).generate(MANY[:8], Sampling())
    assert time.monotonic() - began < 2.5


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "needs a server: --model-args base_url=http://localhost:8000/v1"),
        ({"base_url": "localhost"}, "http://localhost:8000/v1"),
        ({"base_url": "http://h/v1", "key_env": "NO_SUCH_KEY"}, "NO_SUCH_KEY, which key_env names, is not set"),
        ({"base_url": "http://h/v1", "key_env": KEY}, "key_env is the name of an environment variable, not the key"),
        ({"base_url": "http://h/v1", "api_key": KEY}, "unknown setting 'api_key'"),
        ({"base_url": "http://h/v1", "concurrency": 0}, "greater than or equal to 1"),
    ],
)
def test_mistakes_are_one_line(settings: dict, words: str) -> None:
    with pytest.raises(UserError, match=words) as caught:
        load_policy("m", backend="api", model_args=settings)
    assert "\n" not in str(caught.value) and KEY not in str(caught.value)
