"""A judge: a language model behind any OpenAI-compatible server. Replies are kept, so no question is paid for twice."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from hashlib import sha256
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from audio_eval.errors import UserError
from audio_eval.store import JsonLines

Messages = Sequence[Mapping[str, str]]

TOP_LOGPROBS = 5  # as AlpacaEval 2 asks for; every server that has log probabilities gives five
_NO_KEY = "none"  # local servers take any key, the client insists on one


class Reply(NamedTuple):
    """What came of one request: ``text`` as it came, or ``error`` in one line; exactly one of the two is None.

    ``top_logprobs`` maps the likeliest first tokens to their natural log probabilities; None where the server gives
    none or was not asked. ``cached``: read from the cache, the server was not asked.
    """

    text: str | None
    top_logprobs: dict[str, float] | None
    error: str | None
    cached: bool

    @property
    def said(self) -> str:
        """The text after the judge's thinking, stripped; "" for an error."""
        return (self.text or "").rpartition("</think>")[2].strip()


class Judge:
    """Asks one model on one server, at temperature 0, with ``workers`` requests at a time.

    ``url`` is the server's base URL ("http://localhost:8000/v1"). The key is read from the environment variable
    ``key_env``; where it is not set, "none" is sent, which local servers take. The key is sent to ``url`` and written
    nowhere. ``timeout`` is in seconds a try; ``retries`` more tries follow a failed connection and HTTP 408, 409, 429
    and 5xx, with growing pauses (the client's own).

    ``cache`` is a folder: ``<cache>/<model>.jsonl`` holds the replies by the sha256 of (model, messages, parameters).
    The URL is not in the key: the same model on another server is the same judge. Errors are never kept.

    Raises ``UserError`` when the client is not installed, or the URL is not one, or the cache is damaged.
    """

    def __init__(
        self,
        url: str,
        model: str,
        *,
        key_env: str = "OPENAI_API_KEY",
        cache: Path | None,
        workers: int = 8,
        timeout: float = 60.0,
        retries: int = 3,
    ) -> None:
        self.model, self.workers, self._key_env = model, workers, key_env
        self._host, self._url = _place(url)
        self._key = os.environ.get(key_env, "").strip() or _NO_KEY
        self._client = _client(url, self._key, timeout, retries)
        self._file = JsonLines(cache / f"{re.sub(r'[^A-Za-z0-9._-]', '_', model)}.jsonl") if cache else None
        self._kept = _load(self._file)
        self._lock = Lock()

    @property
    def name(self) -> str:
        """``model@host``: who graded, for the provenance of a number."""
        return f"{self.model}@{self._host}"

    def ask(self, prompts: Sequence[Messages], max_tokens: int, logprobs: bool = False) -> list[Reply]:
        """A reply to each prompt, in order; equal prompts are asked once.

        A request that fails is data: its reply carries the error. Each reply is on the disk as soon as it is here, so
        a kill loses the requests under way and no more. Raises ``UserError`` when no request gets through to the
        model (no connection, a refused key, an unknown model): found out on the first ``workers`` requests.
        """
        parameters: dict[str, Any] = {"max_tokens": max_tokens, "temperature": 0}
        if logprobs:
            parameters |= {"logprobs": True, "top_logprobs": TOP_LOGPROBS}
        keys = [_digest(self.model, messages, parameters) for messages in prompts]
        replies = {key: self._kept[key] for key in keys if key in self._kept}
        missing = {key: messages for key, messages in zip(keys, prompts, strict=True) if key not in replies}
        if missing:
            replies |= self._ask_all(missing, parameters)
        return [replies[key] for key in keys]

    def _ask_all(self, missing: Mapping[str, Messages], parameters: dict[str, Any]) -> dict[str, Reply]:
        replies: dict[str, Reply] = {}
        through = False
        pool = ThreadPoolExecutor(self.workers)
        try:
            requests = {pool.submit(self._ask, messages, parameters): key for key, messages in missing.items()}
            for request in as_completed(requests):
                reply, mend = request.result()
                replies[requests[request]] = reply
                self._keep(requests[request], reply)
                through = through or not mend
                if not through and len(replies) >= min(self.workers, len(missing)):
                    raise UserError(mend)
        finally:
            pool.shutdown(cancel_futures=True)
        return replies

    def _ask(self, messages: Messages, parameters: dict[str, Any]) -> tuple[Reply, str]:
        """The reply, and what the user has to mend where the request did not get through to the model ("": it did)."""
        from openai import OpenAIError

        try:
            completion = self._client.chat.completions.create(model=self.model, messages=list(messages), **parameters)
        except OpenAIError as error:
            # Only a failed connection has its reason in the cause; a status error's cause repeats the URL.
            detail = str(error) if hasattr(error, "status_code") else f"{error} {error.__cause__ or ''}"
            reason = self._clean(" ".join(detail.split()))[:300]
            return Reply(None, None, reason, False), self._mend(error, reason)
        except ValueError:  # JSON that is none
            return Reply(None, None, "the server's reply is not JSON", False), ""
        try:
            choice = completion.choices[0]
            text = self._clean(choice.message.content or "")
            first = choice.logprobs.content[0].top_logprobs if choice.logprobs and choice.logprobs.content else []
            top = {self._clean(token.token): float(token.logprob) for token in first}
        except (AttributeError, IndexError, TypeError, ValueError):  # the client does not check what it is sent
            return Reply(None, None, "the server's reply is not a chat completion", False), ""
        return Reply(text, top or None, None, False), ""

    def _mend(self, error: Exception, reason: str) -> str:
        from openai import APIConnectionError, APITimeoutError

        status = getattr(error, "status_code", None)
        if status in (401, 403):
            return f"the judge at {self._url} refuses the key ({status}): set {self._key_env} to a key it takes."
        if status == 404:
            return (
                f"the judge at {self._url} does not know the model '{self.model}', or the URL lacks its /v1 "
                f"({reason}): see {self._url}/models."
            )
        # A server that was reached and is slow is data; one to which no connection came about is not.
        slow = isinstance(error, APITimeoutError) and type(error.__cause__).__name__ != "ConnectTimeout"
        if isinstance(error, APIConnectionError) and not slow:
            return f"cannot reach the judge at {self._url} ({reason}): is the server running? See docs/open-ended.md."
        return ""

    def _clean(self, text: str) -> str:
        """Text of the server that can be written down: no lone surrogates, and no key where a server echoes it."""
        text = text.encode("utf-8", "replace").decode()
        return text if self._key == _NO_KEY else text.replace(self._key, "[key]")

    def _keep(self, key: str, reply: Reply) -> None:
        if self._file is None or reply.error is not None:
            return
        with self._lock:
            self._file.append([{"key": key, "text": reply.text, "top_logprobs": reply.top_logprobs}])
            self._kept[key] = reply._replace(cached=True)


def _place(url: str) -> tuple[str, str]:
    """The host, and the URL without a user, password or query, which must not be printed."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        parts, host, port = urlsplit(""), None, None
    if parts.scheme not in ("http", "https") or not host:
        raise UserError(
            "the judge's URL does not begin with http:// or https:// and a host: give one such as http://localhost:8000/v1."
        )
    return host, f"{parts.scheme}://{host}{f':{port}' if port else ''}{parts.path.rstrip('/')}"


def _client(url: str, key: str, timeout: float, retries: int) -> Any:
    try:
        from openai import OpenAI
    except ImportError as error:
        raise UserError(
            "a judge needs the openai client, which is not installed: pip install audio-eval[open-ended]."
        ) from error
    return OpenAI(base_url=url, api_key=key, timeout=timeout, max_retries=retries)


def _load(file: JsonLines | None) -> dict[str, Reply]:
    if file is None:
        return {}
    try:
        return {line["key"]: Reply(line["text"], line["top_logprobs"], None, True) for line in file.read()}
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"the judge's cache {file.path} is damaged: delete it, and the judge is asked anew.") from error


def _digest(model: str, messages: Messages, parameters: Mapping[str, Any]) -> str:
    value = [model, [dict(message) for message in messages], parameters]
    return sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
