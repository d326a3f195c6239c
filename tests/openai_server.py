"""A local server that speaks /v1/chat/completions, with scripted replies, for the real openai client."""

from __future__ import annotations

import base64
import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from types import MappingProxyType
from typing import Any, NamedTuple


class Answer(NamedTuple):
    """What the server sends: a status and a body, after ``delay`` seconds."""

    status: int
    body: bytes
    delay: float = 0.0
    headers: Mapping[str, str] = MappingProxyType({})


HANG_UP = Answer(0, b"")  # the connection is closed without a reply


def completion(text: str | None, top: dict[str, float] | None = None, delay: float = 0.0) -> Answer:
    """A chat completion. ``top`` maps the likeliest first tokens to their probabilities."""
    choice: dict[str, Any] = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
    if top is not None:
        tokens = [{"token": token, "logprob": math.log(p), "bytes": None} for token, p in top.items()]
        choice["logprobs"] = {"content": [{**tokens[0], "top_logprobs": tokens}]}
    body = {"id": "1", "object": "chat.completion", "created": 0, "model": "judge", "choices": [choice]}
    return Answer(200, json.dumps(body).encode(), delay)


def completions(texts: Sequence[str], usage: dict | None = None, finish: str = "stop", delay: float = 0.0) -> Answer:
    """A chat completion with several choices."""
    choices = [
        {"index": i, "finish_reason": finish, "message": {"role": "assistant", "content": text}}
        for i, text in enumerate(texts)
    ]
    body = {"id": "1", "object": "chat.completion", "created": 0, "model": "m", "choices": choices, "usage": usage}
    return Answer(200, json.dumps(body).encode(), delay)


def failure(status: int, message: str, code: str | None = None, **headers: str) -> Answer:
    """An error as OpenAI words it, with further headers such as ``retry_after``."""
    body = json.dumps({"error": {"message": message, "type": "x", "code": code}}).encode()
    return Answer(status, body, headers={name.replace("_", "-"): value for name, value in headers.items()})


def prompt(request: dict) -> str:
    """The text of the last message of a request."""
    content = request["messages"][-1]["content"]
    return content if isinstance(content, str) else content[-1]["text"]


def sound(request: dict) -> tuple[bytes, str] | None:
    """The recording of a request as bytes, and its format."""
    content = request["messages"][-1]["content"]
    if isinstance(content, str):
        return None
    heard = content[0]["input_audio"]
    return base64.b64decode(heard["data"]), heard["format"]


class _Server(ThreadingHTTPServer):
    block_on_close = False  # an answer that is late need not be waited for
    daemon_threads = True
    request_queue_size = 128


class OpenAIServer:
    """Answers each request by ``script(request, number)``; the number counts from 0 in order of arrival.

    ``models`` is what it lists at /models; None: it has no such page.
    """

    def __init__(self, script: Callable[[dict, int], Answer], models: Sequence[dict] | None = None) -> None:
        self.requests: list[dict] = []
        self.keys: list[str] = []
        self.most_at_once = 0
        self.now = 0
        self._lock = Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                found = None if models is None else Answer(200, json.dumps({"object": "list", "data": models}).encode())
                self.reply(found or failure(404, "no such page"))

            def do_POST(self) -> None:
                request = json.loads(self.rfile.read(int(self.headers["content-length"])))
                with outer._lock:
                    number = len(outer.requests)
                    outer.requests.append(request | {"path": self.path})
                    outer.keys.append(self.headers.get("authorization", ""))
                    outer.now += 1
                    outer.most_at_once = max(outer.most_at_once, outer.now)
                answer = script(request, number)
                time.sleep(answer.delay)
                with outer._lock:
                    outer.now -= 1
                self.reply(answer)

            def reply(self, answer: Answer) -> None:
                self.close_connection = True
                if answer == HANG_UP:
                    return
                try:
                    self.send_response(answer.status)
                    for name, value in answer.headers.items():
                        self.send_header(name, value)
                    self.send_header("content-type", "application/json")
                    self.send_header("content-length", str(len(answer.body)))
                    self.end_headers()
                    self.wfile.write(answer.body)
                except (BrokenPipeError, ConnectionResetError):
                    pass  # the client has given up waiting

            def log_message(self, *_: object) -> None:
                pass

        self._server = _Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"

    def __enter__(self) -> OpenAIServer:
        Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Take no further connection."""
        self._server.shutdown()
        self._server.server_close()
