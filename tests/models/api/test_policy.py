"""Questions to a local server over the real openai client: what is sent, what becomes of the replies."""

from __future__ import annotations

import json
import logging
from dataclasses import replace

import pytest

from audio_eval.audio import AudioRef
from audio_eval.group import Completion, Group
from audio_eval.models.policy import Policy, Sampling, ScoresCompletions
from audio_eval.questions import Question
from audio_eval.usage import Usage
from tests.formats.recordings import whole
from tests.models.api.conftest import KEY, served
from tests.openai_server import Answer, OpenAIServer, completion, completions, failure, prompt, sound

USAGE = {
    "prompt_tokens": 100, "completion_tokens": 7, "total_tokens": 107, "prompt_tokens_details": {"audio_tokens": 60},
}  # fmt: skip
SPOKEN = AudioRef(data=whole("WAV PCM_16"))


def ask(name: str, audio: AudioRef | None = None) -> Question:
    return Question(name, audio, name, (), f"say {name}")


def echo(request: dict, _: int = 0) -> Answer:
    return completions([prompt(request)] * request.get("n", 1), USAGE)


def test_a_request_says_what_the_sampling_says() -> None:
    sampling = Sampling(temperature=0.7, top_p=0.9, top_k=5, max_tokens=3, stop=("x",), seed=1)
    with OpenAIServer(echo) as server:
        policy = served(server.url)
        assert isinstance(policy, Policy) and not isinstance(policy, ScoresCompletions)
        policy.generate([ask("a", SPOKEN)], sampling)
        policy.generate([ask("a")], Sampling())
    drawn, greedy = server.requests
    assert sound(drawn) == (whole("WAV PCM_16"), "wav") and prompt(drawn) == "say a"
    expected = {"model": "m", "temperature": 0.7, "top_p": 0.9, "top_k": 5, "max_tokens": 3, "stop": ["x"]}
    assert expected.items() <= drawn.items() and isinstance(drawn["seed"], int) and "n" not in drawn
    assert (greedy["temperature"], greedy["max_tokens"]) == (0, 16) and sound(greedy) is None
    assert not {"top_p", "top_k", "stop", "n"} & greedy.keys()
    assert set(server.keys) == {f"Bearer {KEY}"}


def test_a_prompt_that_is_too_long_is_not_sent() -> None:
    with OpenAIServer(echo) as server:
        asked = [replace(ask("a"), prompt="x" * 12_001), replace(ask("a"), prompt="日" * 4_001), ask("b")]
        long, japanese, other = served(server.url).generate(asked, Sampling())
    assert japanese.error is not None and "12003 bytes" in japanese.error
    assert long.error is not None and long.error.startswith("its prompt has 12001 bytes, more than 12000: shorten")
    assert other.best() == "say b" and len(server.requests) == 1


def test_the_samples_of_a_question_are_one_request_and_a_multiset() -> None:
    with OpenAIServer(lambda *_: completions(["x", "y", "x", "x"], USAGE)) as server:
        (group,) = served(server.url).generate([ask("a", SPOKEN)], Sampling(n=4, temperature=1.0, seed=0))
    assert [request["n"] for request in server.requests] == [4]
    assert (group.completions, group.counts) == ((Completion("x"), Completion("y")), (3, 1))
    assert (group.audio_seconds, group.temperature, group.error) == (3.0, 1.0, None)
    told = Usage(requests=1, prompt_tokens=100, completion_tokens=7, audio_tokens=60)
    assert group.usage == told and Group.from_json(group.to_json(), group.question) == group


def test_greedy_decoding_is_asked_for_once_whatever_n_is() -> None:
    with OpenAIServer(echo) as server:
        (group,) = served(server.url).generate([ask("a")], Sampling(n=5))
    assert len(server.requests) == 1 and (group.size, group.best()) == (5, "say a")


def test_a_completion_that_was_cut_is_not_finished() -> None:
    with OpenAIServer(lambda *_: completions(["long"], finish="length")) as server:
        (group,) = served(server.url).generate([ask("a")], Sampling())
    assert group.completions == (Completion("long", finished=False),) and group.usage == Usage(requests=1, untold=1)


@pytest.mark.parametrize("how", ["refused", "fewer"])
def test_a_server_that_gives_one_sample_is_asked_one_by_one(how: str, caplog: pytest.LogCaptureFixture) -> None:
    def script(request: dict, number: int) -> Answer:
        if how == "refused" and "n" in request:
            return failure(422, "n must be 1")
        return completion(f"{prompt(request)} {request['seed']}")

    asked, sampling = [ask(str(i)) for i in range(3)], Sampling(n=4, temperature=1.0, seed=0)
    with OpenAIServer(script) as server, caplog.at_level(logging.WARNING):
        policy = served(server.url)
        first = policy.generate(asked, sampling)
        before = len(server.requests)
        again = policy.generate(asked, sampling)
    assert [group.counts for group in first] == [(1,) * 4] * 3, "every sample has a seed of its own"
    assert all(c.text.startswith(f"say {group.question.id} ") for group in first for c in group.completions)
    assert first == again and len(server.requests) - before == 3 * 4, "it is remembered"
    assert len(caplog.records) == 1 and "one by one" in caplog.text, "and said once"


def test_answers_stay_with_their_questions_at_any_concurrency() -> None:
    asked = [ask(str(i)) for i in range(20)]

    def slow(request: dict, number: int) -> Answer:
        return completion(f"{prompt(request)} {request['seed']}", delay=0.04 * (number % 3 + 1))

    found = []
    for concurrency in (1, 16):
        with OpenAIServer(slow) as server:
            policy = served(server.url, batch_size=40, concurrency=concurrency)
            found.append(policy.generate(asked, Sampling(temperature=1.0, seed=3)))
        assert server.most_at_once <= concurrency
    assert found[0] == found[1] and server.most_at_once > 2
    assert [group.best().rsplit(" ", 1)[0] for group in found[0]] == [f"say {i}" for i in range(20)]


def test_an_overloaded_server_gets_fewer_requests_and_every_question_is_answered() -> None:
    """At most 5 at once are answered, the rest is sent away with 429; an upper bound of 32 must find its way down."""
    refused = []

    def script(request: dict, number: int) -> Answer:
        if server.now > 5:
            refused.append(number)
            return failure(429, "slow down", retry_after="0.01")
        return completion(prompt(request), delay=0.1)

    with OpenAIServer(script) as server:
        policy = served(server.url, batch_size=120, concurrency=32, retries=20, max_wait=0.2)
        groups = policy.generate([ask(str(i)) for i in range(60)], Sampling())
    assert [group.best() for group in groups] == [f"say {i}" for i in range(60)]
    assert refused and len(refused) < 45, "without a limit nearly every request is refused"


def test_tokens_and_prices_become_a_cost() -> None:
    with OpenAIServer(echo) as server:
        policy = served(server.url, price_in=2.0, price_out=10.0, price_audio=40.0)
        (group,) = policy.generate([ask("a")], Sampling())
    assert group.usage is not None and group.usage.cost == pytest.approx((40 * 2 + 60 * 40 + 7 * 10) / 1e6)
    with OpenAIServer(echo) as server:
        (group,) = served(server.url, price_in=2.0).generate([ask("a")], Sampling())
    assert group.usage is not None and group.usage.cost == pytest.approx(100 * 2 / 1e6)


BAD = {
    "no json": Answer(200, b"{not json"),
    "null": Answer(200, b"null"),
    "no choices": Answer(200, b'{"choices": []}'),
    "no message": Answer(200, b'{"choices": [{"message": null}]}'),
    "a list": Answer(200, b"[]"),
    "too long": failure(400, "context\ntoo long"),
    "too large": failure(413, "payload"),
}


def test_what_fails_is_named_and_the_rest_is_answered() -> None:
    missing = replace(ask("missing"), audio=AudioRef(path="/no/such.wav"))
    asked = [ask("fine"), *(ask(name) for name in BAD), missing]
    with OpenAIServer(lambda request, _: BAD.get(prompt(request)[4:], echo(request))) as server:
        fine, *others = served(server.url, concurrency=1).generate(asked, Sampling())
    assert fine.error is None and fine.best() == "say fine"
    assert all(group.error and "\n" not in group.error and not group.completions for group in others)
    assert "too long" in str(others[5].error) and "no such file" in str(others[-1].error)


def test_a_key_that_the_server_echoes_is_not_passed_on() -> None:
    script = {"say a": completion(f"the key is {KEY}"), "say b": failure(400, f"bad {KEY}")}
    with OpenAIServer(lambda request, _: script[prompt(request)]) as server:
        a, b = served(server.url, concurrency=1).generate([ask("a"), ask("b")], Sampling())
    assert a.best() == "the key is [key]" and "[key]" in str(b.error) and KEY not in str(b.error)


CHOICE = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "a"}}
STRANGE = [None, True, 5, "abc", [], [1, None], {"a": 1}, [[]], [{}], [{"message": None}], [{"message": "x"}]]
CONTENTS = [["a"], {"a": 1}, 5, True]


@pytest.mark.parametrize("choices", [*STRANGE, *([{**CHOICE, "message": {"content": c}}] for c in CONTENTS)])
def test_a_reply_of_another_kind_is_an_error_of_its_question(choices: object) -> None:
    body = json.dumps({"choices": choices, "usage": 5}).encode()
    with OpenAIServer(lambda request, _: Answer(200, body) if prompt(request) == "say b" else echo(request)) as server:
        one, other = served(server.url).generate([ask("a"), ask("b")], Sampling())
    assert one.best() == "say a" and other.error == "the server's reply is not a chat completion" and not other.size


@pytest.mark.parametrize("told", [(-5, 2), ("5", 2), (True, 2), (10**30, 2), (None, [])])
def test_token_counts_that_are_none_are_not_counted(told: tuple[object, object]) -> None:
    usage = {"prompt_tokens": told[0], "completion_tokens": told[1]}
    with OpenAIServer(lambda *_: completions(["a"], usage)) as server:
        (group,) = served(server.url, price_in=1.0).generate([ask("a")], Sampling())
    assert group.usage == Usage(requests=1, untold=1)
