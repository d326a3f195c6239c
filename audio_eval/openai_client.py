"""A client of one OpenAI-compatible server: errors become data, or one line that says how to mend them."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from audio_eval.errors import UserError
from audio_eval.redact import redacted, remember

_NO_KEY = "none"  # local servers take any key, but the client insists on one
_AGAIN = (408, 409, 425, 429)  # with 5xx, the statuses after which the same request may succeed
_ELSEWHERE = (301, 302, 303, 307, 308)
_WITH_QUERY = re.compile(r"https?://[^\s?]*\?", re.IGNORECASE)


class Outcome(NamedTuple):
    """What came of one request: a chat ``completion`` of the openai client, or an ``error`` in one line.

    ``mend`` tells the user what to do where no request can succeed (no connection, a refused key, an unknown model);
    it is empty where only this request failed. ``status`` is the HTTP status of an error, None where there was no
    reply. ``transient``: the same request may succeed later, after ``wait_s`` seconds where the server says so.
    """

    completion: Any
    error: str | None = None
    mend: str = ""
    status: int | None = None
    transient: bool = False
    wait_s: float | None = None


class OpenAIClient:
    """Sends requests to the server at ``url``, a base URL such as "http://localhost:8000/v1".

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
        key = os.environ.get(key_env, "").strip()
        parts = urlsplit(url)
        user = None if parts.password else parts.username  # a token may stand in its place
        secrets = {s for s in (key, user, parts.password, parts.query) if s}
        remember(*secrets)
        self._secrets = sorted(secrets | {unquote(secret) for secret in secrets}, key=len, reverse=True)
        try:
            from openai import OpenAI

            from audio_eval.bounded_http import BoundedClient
        except ImportError as error:
            raise UserError(
                f"a {role} needs the openai client, which is not installed: pip install audio-eval[api]."
            ) from error
        try:
            self._client = OpenAI(
                base_url=url, api_key=key or _NO_KEY, timeout=timeout, max_retries=retries,
                http_client=BoundedClient(timeout),
            )  # fmt: skip
        except Exception as error:  # of httpx, for a proxy that is none
            raise UserError(
                f"no client for the {role} can be made ({' '.join(str(error).split()):.200}): see --model-args, and "
                "HTTP_PROXY, HTTPS_PROXY and ALL_PROXY in the environment."
            ) from None

    def chat(self, **request: Any) -> Outcome:
        """Send one chat request; ``request`` is what the API takes, such as ``model`` and ``messages``."""
        return self._outcome(lambda: self._client.chat.completions.create(**request), str(request.get("model")))

    def models(self) -> Outcome:
        """What the server lists at /models: ``completion`` is a list of mappings, each with an ``id``."""
        return self._outcome(lambda: [model.model_dump() for model in self._client.models.list().data], "")

    def clean(self, text: str) -> str:
        """Text from the server that is safe to write down: no lone surrogates, and no key where a server echoes it."""
        text = text.encode("utf-8", "replace").decode()
        for secret in self._secrets:
            text = text.replace(secret, "[key]")
        return text

    def _outcome(self, send: Callable[[], Any], model: str) -> Outcome:
        from openai import OpenAIError

        from audio_eval.bounded_http import BadReply

        try:
            return Outcome(send())
        except (OpenAIError, BadReply) as error:
            bad = error if isinstance(error, BadReply) else error.__cause__  # some versions of the client wrap it
            if isinstance(bad, BadReply):
                return Outcome(None, str(bad), transient=bad.slow)
            status = getattr(error, "status_code", None)
            # a failed connection has its reason in the cause; the cause of a status error repeats the URL
            detail = str(error) if status is not None else f"{error} {error.__cause__ or ''}"
            reason = self.clean(" ".join(detail.split()))[:300]
            mend = self._mend(error, reason, model)
            transient = not mend and (status in _AGAIN or status >= 500) if status is not None else _lost(error)
            headers = getattr(getattr(error, "response", None), "headers", {})
            return Outcome(None, reason, mend, status, transient, retry_after(headers))
        except (ValueError, TypeError, AttributeError, LookupError, RecursionError):
            return Outcome(None, "the server's reply is not JSON of the kind that was asked for")

    def _mend(self, error: Exception, reason: str, model: str) -> str:
        status = getattr(error, "status_code", None)
        where = f"the {self.role} at {self.url}"
        if status in (401, 403):
            return f"{where} refuses the key ({status}): set {self._key_env} to a key it takes."
        if status in _ELSEWHERE:
            return f"{where} sends requests to another place ({status}), which is not followed: give that URL."
        if status == 402 or getattr(error, "code", None) == "insufficient_quota":
            return f"{where} says that the account has no credit left ({reason}): top it up, or set another key."
        if status == 404 and model:
            models = f"{self.url}/models"
            return f"{where} does not know the model '{model}', or the URL lacks its /v1 ({reason}): see {models}."
        # a server that answers too slowly is data; one that cannot be connected to is not
        if status is None and _lost(error) and not _slow(error):
            return f"cannot reach {where} ({reason}): is the server running?"
        return ""


def _lost(error: Exception) -> bool:
    """Whether there was no reply."""
    from openai import APIConnectionError

    return isinstance(error, APIConnectionError)


def _slow(error: Exception) -> bool:
    """Whether the connection stood, and no reply came in time."""
    from openai import APITimeoutError

    return isinstance(error, APITimeoutError) and type(error.__cause__).__name__ != "ConnectTimeout"


def retry_after(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Seconds that a Retry-After header asks to wait: a number of seconds, or a date (RFC 9110, 10.2.3).

    None where there is no such header, or one that says nothing.
    """
    said = headers.get("retry-after", "").strip()
    try:
        seconds = float(said)
    except ValueError:
        try:
            at = parsedate_to_datetime(said)
            at = at if at.tzinfo else at.replace(tzinfo=timezone.utc)
            seconds = (at - (now or datetime.now(timezone.utc))).total_seconds()
        except (ValueError, TypeError, OverflowError, IndexError):
            return None
    return max(seconds, 0.0) if math.isfinite(seconds) else None


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


def refuse_secrets(settings: Mapping[str, Any]) -> None:
    """``UserError`` for a setting in which a secret stands, such as a URL with user, password or query, or a key."""
    for name, value in settings.items():
        if redacted({name: value}) != {name: _plain(value)} or _WITH_QUERY.search(str(value)):
            raise UserError(
                f"{name}: a run writes its settings down, so a URL in them must have no user, password or query, and "
                "there must be no key or password. A key is read from OPENAI_API_KEY; a URL that needs more goes into "
                "OPENAI_BASE_URL (backend api)."
            )


def _plain(value: Any) -> Any:
    """The value as ``redacted`` gives it where there is nothing to redact."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value
