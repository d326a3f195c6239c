"""A client of any OpenAI-compatible server: keys come from the environment alone, and failures are data."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from audio_eval.errors import UserError

Messages = Sequence[Mapping[str, Any]]
_NO_KEY = "none"  # local servers take any key, the client insists on one


class Answer(NamedTuple):
    """What came of one request: the server's ``completion``, or the ``error`` in one line.

    ``mend`` says what the user has to do where no request can get through (no connection, a refused key, an unknown
    model); "" otherwise.
    """

    completion: Any | None
    error: str | None
    mend: str


class Client:
    """Asks one server. ``role`` is what messages call it ("judge").

    ``url`` is the base URL ("http://localhost:8000/v1"); a user, password or query in it is dropped and never printed.
    The key is read from the environment variable ``key_env``, sent to ``url`` and written nowhere. ``timeout`` is in
    seconds per try; ``retries`` more tries follow a failed connection and HTTP 408, 409, 429 and 5xx, with growing
    pauses (the openai client's own). ``UserError`` where the client is not installed or the URL is none.
    """

    def __init__(self, url: str, role: str, key_env: str, timeout: float, retries: int) -> None:
        self.host, self.url = _address(url, role)
        self._role, self._key_env = role, key_env
        self._key = os.environ.get(key_env, "").strip() or _NO_KEY
        try:
            from openai import OpenAI
        except ImportError as error:
            raise UserError(
                f"a {role} needs the openai client, which is not installed: pip install audio-eval[open-ended]."
            ) from error
        self._client = OpenAI(base_url=self.url, api_key=self._key, timeout=timeout, max_retries=retries)

    def chat(self, model: str, messages: Messages, parameters: Mapping[str, Any]) -> Answer:
        """One chat completion; a request that fails is data."""
        from openai import OpenAIError

        create: Any = self._client.chat.completions.create
        try:
            return Answer(create(model=model, messages=list(messages), **parameters), None, "")
        except OpenAIError as error:
            # Only a failed connection has its reason in the cause; a status error's cause repeats the URL.
            detail = str(error) if hasattr(error, "status_code") else f"{error} {error.__cause__ or ''}"
            reason = self.clean(" ".join(detail.split()))[:300]
            return Answer(None, reason, self._mend(error, reason, model))
        except ValueError:
            return Answer(None, "the server's reply is not JSON", "")

    def clean(self, text: str) -> str:
        """Text of the server that can be written down: no lone surrogates, and no key where a server echoes it."""
        text = text.encode("utf-8", "replace").decode()
        return text if self._key == _NO_KEY else text.replace(self._key, "[key]")

    def _mend(self, error: Exception, reason: str, model: str) -> str:
        from openai import APIConnectionError, APITimeoutError

        status = getattr(error, "status_code", None)
        if status in (401, 403):
            return f"the {self._role} at {self.url} refuses the key ({status}): set {self._key_env} to a key it takes."
        if status == 404:
            return (
                f"the {self._role} at {self.url} does not know the model '{model}', or the URL lacks its /v1 "
                f"({reason}): see {self.url}/models."
            )
        # A server that was reached and is slow is data; one to which no connection came about is not.
        slow = isinstance(error, APITimeoutError) and type(error.__cause__).__name__ != "ConnectTimeout"
        if isinstance(error, APIConnectionError) and not slow:
            return f"cannot reach the {self._role} at {self.url} ({reason}): is the server running?"
        return ""


def _address(url: str, role: str) -> tuple[str, str]:
    """The host, and the URL without a user, password or query, which must not be printed."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        parts, host, port = urlsplit(""), None, None
    if parts.scheme not in ("http", "https") or not host:
        raise UserError(
            f"the {role}'s URL does not begin with http:// or https:// and a host: "
            "give one such as http://localhost:8000/v1."
        )
    return host, f"{parts.scheme}://{host}{f':{port}' if port else ''}{parts.path.rstrip('/')}"
