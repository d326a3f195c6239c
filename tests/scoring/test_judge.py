"""The judge over the real openai client: requests, servers that fail, its cache."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

from audio_eval.errors import UserError
from audio_eval.scoring.judge import Judge
from tests.openai_server import Answer, OpenAIServer, completion, failure, prompt

KEY = "sk-very-secret-1234"


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


def ask_for(*texts: str) -> list:
    return [[{"role": "user", "content": text}] for text in texts]


def echo(request: dict, _: int) -> Answer:
    return completion(f"you said {prompt(request)}")


# --- requests --------------------------------------------------------------------------------------------------------


def test_replies_come_in_order_many_at_once() -> None:
    texts = [f"text {number}" for number in range(24)]

    def slow(request: dict, number: int) -> Answer:
        return completion(prompt(request), delay=0.06 if number % 3 else 0.02)

    with OpenAIServer(slow) as server:
        replies = Judge(server.url, "m", cache=None, workers=6).ask(ask_for(*texts), max_tokens=5)
    assert [reply.text for reply in replies] == texts
    assert 2 <= server.most_at_once <= 6
    request = server.requests[0]
    assert (request["path"], request["model"]) == ("/v1/chat/completions", "m")
    assert (request["max_tokens"], request["temperature"]) == (5, 0)
    assert "logprobs" not in request
    assert set(server.keys) == {f"Bearer {KEY}"}


def test_log_probabilities_of_the_first_token() -> None:
    with OpenAIServer(lambda *_: completion("m", {"m": 0.75, "M": 0.25})) as server:
        (reply,) = Judge(server.url, "m", cache=None).ask(ask_for("x"), 1, logprobs=True)
    assert reply.top_logprobs == pytest.approx({"m": -0.28768, "M": -1.38629}, abs=1e-4)
    assert (server.requests[0]["logprobs"], server.requests[0]["top_logprobs"]) == (True, 5)


def test_a_local_server_needs_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    with OpenAIServer(echo) as server:
        judge = Judge(server.url, "none/model", cache=None)
        assert judge.ask(ask_for("none"), 5)[0].text == "you said none"
    assert server.keys == ["Bearer none"]
    assert judge.name == "none/model@127.0.0.1"


def test_a_server_error_is_tried_again() -> None:
    with OpenAIServer(lambda request, number: failure(500, "busy") if number == 0 else echo(request, 0)) as server:
        assert Judge(server.url, "m", cache=None).ask(ask_for("x"), 5)[0].text == "you said x"
    assert len(server.requests) == 2


BROKEN = {
    "status": failure(500, "out of\nmemory"),
    "refused": failure(400, "context too long"),
    "no json": Answer(200, b"{not json"),
    "a list": Answer(200, b"[]"),
    "null": Answer(200, b"null"),
    "no choices": Answer(200, b'{"choices": []}'),
    "no message": Answer(200, b'{"choices": [{"message": null}]}'),
    "a number": Answer(200, b'{"choices": [{"message": {"content": 5}}]}'),
    "slow": completion("late", delay=0.9),
}


def test_single_failures_are_data_and_are_asked_again(tmp_path: Path) -> None:
    with OpenAIServer(lambda request, _: BROKEN.get(prompt(request)) or echo(request, 0)) as server:
        first = Judge(server.url, "m", cache=tmp_path, timeout=0.6, retries=0).ask(ask_for("x", *BROKEN), 5)
        asked = len(server.requests)
        again = Judge(server.url, "m", cache=tmp_path, timeout=0.6, retries=0).ask(ask_for("x", *BROKEN), 5)
    assert first[0] == ("you said x", None, None, False)
    assert again[0] == ("you said x", None, None, True)
    for reply in first[1:]:
        assert reply.text is None and reply.error and "\n" not in reply.error and reply.said == ""
    assert "context too long" in first[2].error
    assert len(server.requests) == asked + len(BROKEN)


def test_a_slow_server_is_no_missing_server() -> None:
    with OpenAIServer(lambda *_: completion("late", delay=0.4)) as server:
        (reply,) = Judge(server.url, "m", cache=None, timeout=0.1, retries=0).ask(ask_for("x"), 5)
    assert reply.text is None and "timed out" in reply.error


def test_odd_replies_are_replies() -> None:
    lone = Answer(200, b'{"choices": [{"message": {"content": "7 \\ud800"}}]}')
    texts = {"none": completion(None), "lone": lone, "think": completion("<think>5?</think> 7\n")}
    with OpenAIServer(lambda request, _: texts[prompt(request)]) as server:
        replies = Judge(server.url, "m", cache=None).ask(ask_for(*texts), 5)
    assert [(reply.text, reply.said) for reply in replies] == [
        ("", ""),
        ("7 ?", "7 ?"),
        ("<think>5?</think> 7\n", "7"),
    ]


@pytest.mark.parametrize("logprob", ["x", [], None, 10**400])
def test_log_probabilities_that_are_none_are_an_error(logprob: object) -> None:
    body = json.loads(completion("a", {"a": 0.5}).body)
    body["choices"][0]["logprobs"]["content"][0]["top_logprobs"][0]["logprob"] = logprob
    for sent in (body, {"choices": {"a": 1}}):
        with OpenAIServer(lambda *_, sent=sent: Answer(200, json.dumps(sent).encode())) as server:
            (reply,) = Judge(server.url, "m", cache=None).ask(ask_for("a"), 5, logprobs=True)
        assert reply.error == "the server's reply is not a chat completion"


def test_log_probabilities_that_are_not_finite_are_left_out() -> None:
    body = completion("a", {"a": 0.5}).body.replace(b"-0.6931471805599453", b"NaN")
    with OpenAIServer(lambda *_: Answer(200, body)) as server:
        (reply,) = Judge(server.url, "m", cache=None).ask(ask_for("a"), 5, logprobs=True)
    assert (reply.text, reply.top_logprobs) == ("a", None)


# --- servers that cannot be used -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (failure(401, f"Incorrect key {KEY}"), r"refuses the key \(401\): set OPENAI_API_KEY"),
        (failure(403, f"not for {KEY}"), r"refuses the key \(403\)"),
        (failure(404, f"no model 'm' for {KEY}"), r"does not know the model 'm'.*/v1/models"),
    ],
)
def test_an_unusable_server_is_one_line(answer: Answer, words: str) -> None:
    with OpenAIServer(lambda *_: answer) as server, pytest.raises(UserError, match=words) as caught:
        Judge(server.url, "m", cache=None, workers=2).ask(ask_for(*"abcdefghijklmnop"), 5)
    assert server.url in str(caught.value)
    assert "\n" not in str(caught.value) and KEY not in str(caught.value)
    assert len(server.requests) < 16, "two failures are enough to know"


def test_no_server_is_one_line() -> None:
    with OpenAIServer(echo) as server:
        pass
    with pytest.raises(UserError, match=r"cannot reach the judge at http://127.0.0.1.*refused.*is the server running"):
        Judge(server.url, "m", cache=None, retries=0).ask(ask_for("x"), 5)


def test_one_request_that_gets_through_makes_the_others_data() -> None:
    with OpenAIServer(lambda request, number: failure(404, "gone") if number else echo(request, 0)) as server:
        replies = Judge(server.url, "m", cache=None, workers=1).ask(ask_for("x", "y", "z"), 5)
    assert [reply.error is None for reply in replies] == [True, False, False]


@pytest.mark.parametrize(
    "url", ["localhost:8000/v1", "", "ftp://host/v1", "http://", "http://host:port/v1", "http://["]
)
def test_a_url_that_is_none(url: str) -> None:
    with pytest.raises(UserError, match="http://localhost:8000/v1"):
        Judge(url, "m", cache=None)


def test_a_missing_client_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openai", None)
    with pytest.raises(UserError, match=r"pip install audio-eval\[api\]"):
        Judge("http://localhost:1/v1", "m", cache=None)


def test_user_password_and_query_of_a_url_are_not_printed() -> None:
    judge = Judge("http://user:pass@127.0.0.1:9/v1?token=hush", "m", cache=None, retries=0)
    with pytest.raises(UserError) as caught:
        judge.ask(ask_for("x"), 5)
    assert "http://127.0.0.1:9/v1 " in str(caught.value)
    assert not re.search("user|pass|hush", str(caught.value) + judge.name)


# --- the cache -------------------------------------------------------------------------------------------------------


def test_a_second_judge_asks_nothing(tmp_path: Path) -> None:
    with OpenAIServer(lambda request, _: completion(prompt(request), {"m": 0.5, "x": 0.5})) as server:
        judge = Judge(server.url, "org/judge 7B", cache=tmp_path)
        first = judge.ask(ask_for("a", "b", "a"), 5, logprobs=True)
        assert judge.ask(ask_for("b"), 5, logprobs=True)[0].cached, "nor does the first one again"
        assert len(server.requests) == 2, "equal prompts are asked once"
    elsewhere = Judge("http://127.0.0.1:9/v1", "org/judge 7B", cache=tmp_path)
    second = elsewhere.ask(ask_for("a", "b", "a"), 5, logprobs=True)
    assert [reply._replace(cached=False) for reply in second] == first
    assert all(reply.cached for reply in second) and not any(reply.cached for reply in first)
    assert [path.name for path in tmp_path.iterdir()] == ["org_judge_7B.jsonl"]


def test_the_cache_is_keyed_by_model_messages_and_parameters(tmp_path: Path) -> None:
    with OpenAIServer(echo) as server:
        Judge(server.url, "a/b", cache=tmp_path).ask(ask_for("x"), 5)
        Judge(server.url, "a_b", cache=tmp_path).ask(ask_for("x"), 5)  # the same file
        Judge(server.url, "a/b", cache=tmp_path).ask(ask_for("y"), 5)
        Judge(server.url, "a/b", cache=tmp_path).ask(ask_for("x"), 6)
        Judge(server.url, "a/b", cache=tmp_path).ask(ask_for("x"), 5, logprobs=True)
        assert len(server.requests) == 5
        Judge(server.url, "a_b", cache=tmp_path).ask(ask_for("x"), 5)
        assert len(server.requests) == 5


def test_a_torn_line_costs_one_reply(tmp_path: Path) -> None:
    with OpenAIServer(echo) as server:
        Judge(server.url, "m", cache=tmp_path, workers=1).ask(ask_for("a", "b", "c"), 5)
        file = tmp_path / "m.jsonl"
        file.write_bytes(file.read_bytes()[:-20])
        replies = Judge(server.url, "m", cache=tmp_path).ask(ask_for("a", "b", "c"), 5)
        assert len(server.requests) == 4
        assert [reply.cached for reply in replies].count(False) == 1
        assert all(reply.cached for reply in Judge(server.url, "m", cache=tmp_path).ask(ask_for("a", "b", "c"), 5))
    assert len([json.loads(line) for line in file.read_text().splitlines()]) == 3


def test_what_had_arrived_before_a_stop_is_kept(tmp_path: Path) -> None:
    class Stop(BaseException):
        pass

    with OpenAIServer(echo) as server:
        judge = Judge(server.url, "m", cache=tmp_path, workers=1)
        keep, kept = judge._keep, []

        def stop_after_two(key: str, reply) -> None:
            keep(key, reply)
            kept.append(key)
            if len(kept) == 2:
                raise Stop

        judge._keep = stop_after_two  # type: ignore[method-assign]
        with pytest.raises(Stop):
            judge.ask(ask_for(*"abcdefghijklmnopqrst"), 5)
        assert len(server.requests) < 20
    assert len((tmp_path / "m.jsonl").read_text().splitlines()) == 2


def test_a_damaged_cache_is_one_line(tmp_path: Path) -> None:
    for damage in ("no json\n{}\n", '{"key": 1}\n', "3\n"):
        (tmp_path / "m.jsonl").write_text(damage)
        with pytest.raises(UserError, match=r"m\.jsonl is damaged: delete it"):
            Judge("http://127.0.0.1:9/v1", "m", cache=tmp_path)


def test_the_key_is_written_nowhere(tmp_path: Path) -> None:
    told = {"a": completion(f"key {KEY}"), "b": failure(400, f"key {KEY}")}
    with OpenAIServer(lambda request, _: told[prompt(request)]) as server:
        judge = Judge(server.url, "m", cache=tmp_path, retries=0)
        replies = judge.ask(ask_for("a", "b"), 5)
    assert replies[0].text == "key [key]" and "[key]" in replies[1].error
    assert KEY not in repr(judge) + str(replies) + judge.name + (tmp_path / "m.jsonl").read_text()
