"""What servers may send: too much, for ever, compressed, from elsewhere; each ends in time, as data."""

from __future__ import annotations

import gzip
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Thread

import pytest

from audio_eval import bounded_http
from audio_eval.openai_client import OpenAIClient, Outcome
from tests.openai_server import Answer, OpenAIServer, completion

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
Reply = Callable[[socket.socket], object]


@contextmanager
def server(reply: Reply) -> Iterator[str]:
    """The URL of a server that answers every connection by ``reply``, byte for byte."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection, suppress(OSError):
                    connection.settimeout(5)
                    connection.recv(1 << 16)
                    reply(connection)

    Thread(target=serve, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
    finally:
        listener.close()


def asked(url: str) -> Outcome:
    return OpenAIClient(url, timeout=0.3, retries=0).chat(model="m", messages=[{"role": "user", "content": "x"}])


def whole(body: bytes, head: bytes = HEAD) -> Reply:
    def send(to: socket.socket) -> None:
        to.sendall(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        to.shutdown(socket.SHUT_WR)
        while to.recv(1 << 16):  # closed with something unread, it would reset the connection
            pass

    return send


def again_and_again(first: bytes, part: bytes, pause: float = 0.0) -> Reply:
    def send(to: socket.socket) -> None:
        to.sendall(first)
        while True:
            to.sendall(part)
            time.sleep(pause)

    return send


ENDLESS = {
    "body": again_and_again(HEAD + b"\r\n", b"x" * 65536),
    "chunks": again_and_again(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"10000\r\n" + b"x" * 65536 + b"\r\n"),
}
SLOW = {
    "body": again_and_again(HEAD + b"Content-Length: 99999\r\n\r\n", b" ", 0.05),
    "headers": again_and_again(b"HTTP/1.1 200 OK\r\nX-A: ", b"a", 0.05),
}


@pytest.mark.parametrize("kind", ENDLESS)
def test_no_reply_fills_the_memory(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded_http, "MAX_BYTES", 1 << 20)
    with server(ENDLESS[kind]) as url:
        assert asked(url) == Outcome(None, "the server's reply is larger than 1 MiB")


@pytest.mark.parametrize("kind", SLOW)
def test_a_reply_letter_by_letter_ends_in_time(kind: str) -> None:
    with server(SLOW[kind]) as url:
        began, outcome = time.monotonic(), asked(url)
    assert outcome == Outcome(None, "the server's reply did not come to its end in time", transient=True)
    assert time.monotonic() - began < 3


def test_a_reply_is_unpacked_to_no_size() -> None:
    with server(whole(gzip.compress(bytes(1 << 20)), HEAD + b"Content-Encoding: gzip\r\n")) as url:
        assert "compressed" in str(asked(url).error)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_questions_and_keys_go_to_no_other_server(status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret-1234")
    with OpenAIServer(lambda *_: completion("x")) as other:
        to = {"location": f"{other.url}/chat/completions"}
        with OpenAIServer(lambda *_: Answer(status, b"", headers=to)) as first:
            outcome = asked(first.url)
        assert f"another place ({status})" in outcome.mend and not other.requests


@pytest.mark.parametrize(
    "body",
    [b"[" * 60_000, b"9" * 6_000, b"<html>", b'{"choices": ' + b'{"a":' * 60_000, b"", b"\0"],
)  # fmt: skip
def test_what_is_no_json_is_an_error(body: bytes) -> None:
    with server(whole(body)) as url:
        assert asked(url).error == "the server's reply is not JSON of the kind that was asked for"
