"""A judge: a language model behind an OpenAI-compatible server. Replies are cached, so none is paid for twice."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from hashlib import sha256
from math import isfinite
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

from audio_eval.cache import written
from audio_eval.errors import UserError
from audio_eval.openai_client import OpenAIClient
from audio_eval.store import JsonLines

Messages = Sequence[Mapping[str, str]]

TOP_LOGPROBS = 5  # as AlpacaEval 2 asks for; every server that has log probabilities gives five


class Reply(NamedTuple):
    """The result of one request: the judge's ``text``, or an ``error`` in one line; exactly one of the two is None.

    ``top_logprobs`` maps the most probable first tokens to their natural log probabilities; None where the server gives
    none or was not asked for them. ``cached``: the reply comes from the cache, and the server was not asked.
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

    ``url``, ``key_env``, ``timeout`` and ``retries`` are those of ``OpenAIClient``. ``cache`` is a folder:
    ``<cache>/<model>.jsonl`` keeps the replies by the sha256 of (model, messages, parameters). The URL does not count:
    the same model on another server is the same judge. Errors are never cached.

    Raises ``UserError`` as ``OpenAIClient`` does, and if the cache is damaged.
    """

    def __init__(
        self, url: str, model: str, *, key_env: str = "OPENAI_API_KEY", cache: Path | None, workers: int = 8,
        timeout: float = 60.0, retries: int = 3,
    ) -> None:  # fmt: skip
        self.model, self.workers = model, workers
        self._client = OpenAIClient(url, "judge", key_env=key_env, timeout=timeout, retries=retries)
        self._file = JsonLines(cache / f"{re.sub(r'[^A-Za-z0-9._-]', '_', model)}.jsonl") if cache else None
        self._kept = _load(self._file)
        self._lock = Lock()

    @property
    def name(self) -> str:
        """``model@host``: who graded. It is recorded with every number."""
        return f"{self.model}@{self._client.host}"

    def ask(self, prompts: Sequence[Messages], max_tokens: int, logprobs: bool = False) -> list[Reply]:
        """A reply to each prompt, in order. Equal prompts are asked once.

        A request that fails is data: its reply carries the error. Each reply is written to the disk as soon as it
        arrives, so a killed run loses only the requests under way. Raises ``UserError`` when no request reaches the
        model (no connection, a refused key, an unknown model), after the first ``workers`` requests.
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
        reached = False
        pool = ThreadPoolExecutor(self.workers)
        try:
            requests = {pool.submit(self._ask, messages, parameters): key for key, messages in missing.items()}
            for request in as_completed(requests):
                reply, mend = request.result()
                replies[requests[request]] = reply
                self._keep(requests[request], reply)
                reached = reached or not mend
                if not reached and len(replies) >= min(self.workers, len(missing)):
                    raise UserError(mend)
        finally:
            pool.shutdown(cancel_futures=True)
        return replies

    def _ask(self, messages: Messages, parameters: dict[str, Any]) -> tuple[Reply, str]:
        """The reply, and what the user has to mend where the request did not reach the model ("" where it did)."""
        outcome = self._client.chat(model=self.model, messages=list(messages), **parameters)
        if outcome.error is not None:
            return Reply(None, None, outcome.error, False), outcome.mend
        clean = self._client.clean
        try:
            choice = outcome.completion.choices[0]
            text = clean(choice.message.content or "")
            first = choice.logprobs.content[0].top_logprobs if choice.logprobs and choice.logprobs.content else []
            top = {clean(token.token): value for token in first if isfinite(value := float(token.logprob))}
        except (AttributeError, LookupError, TypeError, ValueError, OverflowError):  # the client checks nothing
            return Reply(None, None, "the server's reply is not a chat completion", False), ""
        return Reply(text, top or None, None, False), ""

    def _keep(self, key: str, reply: Reply) -> None:
        if self._file is None or reply.error is not None:
            return
        with self._lock:
            with written():
                self._file.append([{"key": key, "text": reply.text, "top_logprobs": reply.top_logprobs}])
            self._kept[key] = reply._replace(cached=True)


def _load(file: JsonLines | None) -> dict[str, Reply]:
    if file is None:
        return {}
    try:
        return {line["key"]: Reply(line["text"], line["top_logprobs"], None, True) for line in file.read()}
    except (UserError, KeyError, TypeError) as error:
        raise UserError(
            f"the judge's cache {file.path} is damaged: delete it, and the judge is asked again."
        ) from error


def _digest(model: str, messages: Messages, parameters: Mapping[str, Any]) -> str:
    value = [model, [dict(message) for message in messages], parameters]
    return sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
