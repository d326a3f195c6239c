"""A client of one OpenAI-compatible server: errors become data, or one line that says how to mend them."""

from __future__ import annotations

import os
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from audio_eval.errors import UserError

_NO_KEY = "none"  # local servers take any key, but the client insists on one


class Outcome(NamedTuple):
    """What came of one request: a chat ``completion`` of the openai client, or an ``error`` in one line.

    ``mend`` tells the user what to do where no request can succeed (no connection, a refused key, an unknown model);
    it is empty where only this request failed.
    """

    completion: Any
    error: str | None = None
    mend: str = ""


class OpenAIClient:
    """Sends chat requests to the server at ``url``, a base URL such as "http://localhost:8000/v1".

    The key is read from the environment variable ``key_env``; where it is not set, "none" is sent, which local servers
    accept. It is sent to ``url`` and written nowhere. ``timeout`` is in seconds per try. After a failed connection and
    HTTP 408, 409, 429 and 5xx the client tries ``retries`` more times, with growing pauses. ``role`` is what messages
    call the server. Several threads may share a client.

    Raises ``UserError`` if the openai package is not installed, or ``url`` is not a URL.
    """

    def __init__(
        self, url: str, role: str = "server", *, key_env: str = "OPENAI_API_KEY", timeout: float = 60.0,
        retries: int = 3,
    ) -> None:  # fmt: skip
        self.role, self._key_env = role, key_env
        self.host, self.url = shown_url(url, role)
        self._key = os.environ.get(key_env, "").strip() or _NO_KEY
        try:
            from openai import OpenAI
        except ImportError as error:
            raise UserError(
                f"a {role} needs the openai client, which is not installed: pip install audio-eval[open-ended]."
            ) from error
        self._client = OpenAI(base_url=url, api_key=self._key, timeout=timeout, max_retries=retries)

    def chat(self, **request: Any) -> Outcome:
        """Send one chat request; ``request`` is what the API takes, such as ``model`` and ``messages``."""
        from openai import OpenAIError

        try:
            return Outcome(self._client.chat.completions.create(**request))
        except OpenAIError as error:
            # a failed connection has its reason in the cause; the cause of a status error repeats the URL
            detail = str(error) if hasattr(error, "status_code") else f"{error} {error.__cause__ or ''}"
            reason = self.clean(" ".join(detail.split()))[:300]
            return Outcome(None, reason, self._mend(error, reason, str(request.get("model"))))
        except ValueError:
            return Outcome(None, "the server's reply is not JSON")

    def clean(self, text: str) -> str:
        """Text from the server that is safe to write down: no lone surrogates, and no key where a server echoes it."""
        text = text.encode("utf-8", "replace").decode()
        return text if self._key == _NO_KEY else text.replace(self._key, "[key]")

    def _mend(self, error: Exception, reason: str, model: str) -> str:
        from openai import APIConnectionError, APITimeoutError

        status = getattr(error, "status_code", None)
        where = f"the {self.role} at {self.url}"
        if status in (401, 403):
            return f"{where} refuses the key ({status}): set {self._key_env} to a key it takes."
        if status == 404:
            models = f"{self.url}/models"
            return f"{where} does not know the model '{model}', or the URL lacks its /v1 ({reason}): see {models}."
        # a server that answers too slowly is data; one that cannot be connected to is not
        slow = isinstance(error, APITimeoutError) and type(error.__cause__).__name__ != "ConnectTimeout"
        if isinstance(error, APIConnectionError) and not slow:
            return f"cannot reach {where} ({reason}): is the server running?"
        return ""


def shown_url(url: str, role: str) -> tuple[str, str]:
    """The host, and the URL as it may be printed: without user, password and query. ``UserError`` if it is none."""
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
