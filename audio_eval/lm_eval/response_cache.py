"""lm-eval's cache of responses (``--use_cache``), which knows neither whose responses it holds nor which are none.

It finds a response by the request alone. So the file also holds a note of the model, which must be the same one the
next time, and of the requests that failed, which are asked again: lm-eval keeps whatever a model returns.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from audio_eval.errors import UserError

_MODEL, _FAILED = "audio-eval: model", "audio-eval: failed"  # responses have hex digits for keys


class ResponseCache:
    """The cache behind a CacheHook of lm-eval; without ``--use_cache`` it does nothing."""

    def __init__(self, hook: Any, model: Mapping[str, Any]) -> None:
        self._hook, self._db = hook, hook.dbdict
        if self._db is None:
            return
        now = json.dumps(model, sort_keys=True)
        held = self._db.get(_MODEL)
        if held != now and len(self._db) > 0:
            whose = f"the responses of {_name(held)}" if held else "responses of nobody knows which model"
            raise UserError(
                f"--use_cache: '{self._db.filename}' holds {whose}, not of {_name(now)} as it is now: name another."
            )
        self._db[_MODEL] = now
        for key in self._db.get(_FAILED, ()):
            self._db.pop(key, None)
        self._db[_FAILED] = []

    def keep(self, kind: str, arguments: Iterable[Any], response: Any) -> None:
        """Keep a response at once, so that an interrupted evaluation goes on from there."""
        self._hook.add_partial(kind, arguments, response)

    def failed(self, kind: str, arguments: Iterable[Any]) -> None:
        """What is returned for this request is no response."""
        if self._db is not None:
            from lm_eval.api.model import hash_args

            self._db[_FAILED] = [*self._db[_FAILED], hash_args(kind, arguments)]


def _name(model: str) -> str:
    told = json.loads(model)
    return f"'{told['name']}' ({told['revision']})"
