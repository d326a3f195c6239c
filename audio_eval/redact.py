"""Secrets are taken out where something is written, printed or told to a tracker, however they came there.

What a secret is: the value of an environment variable that is called a key, token, secret or password, and what a
client of a server ``remember``s; user and query of a URL; a value that the text itself calls so (``api_key=...``); and
what has the form of a provider's key. Data, such as responses and items, are searched for the known values alone: what
merely looks like a secret may be the answer.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

SECRET = "[secret]"
_NAME = r"(?:api[_-]?key|access[_-]?key|token|secret|passw(?:or)?d|credential|authorization)"
# A bare "key" is called so where it is a name by itself; in a text it may be that of a piece of music.
_CALLED = re.compile(rf"(?:^|[_.-])(?:{_NAME}|key)$", re.IGNORECASE)
# The numbers bound what a text made for it can take: every match is linear.
_QUERY = re.compile(r"(https?://[^\s?\"'<>]{1,800})\?[^\s\"'<>]+", re.IGNORECASE)
_SECRETS = re.compile(
    rf"""(?P<name>\b(?:(?:\w+[_.-])?{_NAME}|\w+[_.-]key)["']?\s*[=:]\s*["']?)(?:bearer\s+)?(?!\[secret\]|\[key\])[^\s,;&"']+
    |(?P<bearer>\bbearer\s+)[\w.~+/=-]{{8,}}
    |(?P<user>\b[a-z][a-z0-9+.-]{{1,15}}://)(?:[^\s/?\#"'<>]{{0,400}}|[^\s:"'<>,]{{0,400}}:(?!\d+/)[^\s"'<>,]{{0,400}})@
    |\b(?:hf_[a-z0-9]{{16,}}|sk-[\w-]{{16,}}|gh[opsur]_\w{{16,}}|github_pat_\w{{16,}}|glpat-[\w-]{{16,}}|gsk_\w{{16,}}
        |nvapi-[\w-]{{16,}}|AIza[\w-]{{30,}}|AKIA[a-z0-9]{{12,}}|xox[abprs]-[\w-]{{10,}}
        |eyJ[\w-]{{10,400}}\.[\w-]{{10,2000}}\.[\w-]*)
    |-----BEGIN\ [A-Z ]*PRIVATE\ KEY-----[^-]*(?:-----END\ [A-Z ]*PRIVATE\ KEY-----)?""",
    re.IGNORECASE | re.VERBOSE,
)
_ENOUGH = 8  # characters; a shorter value would be found in many a word
_remembered: set[str] = set()


def remember(*values: str | None) -> None:
    """Take these values for secrets from now on, as they are and without a URL's percent signs."""
    given = [value for value in values if value]
    _remembered.update(value for value in (*given, *map(unquote, given)) if len(value) >= _ENOUGH)


def without_known(text: str) -> str:
    """The text without the values that are known to be secrets: for data, and for pages, in which a sign means much."""
    for value in _known():
        text = text.replace(value, SECRET)
    return text


def redacted_text(text: str) -> str:
    """The text without anything that is a secret, or is called one, or looks like one."""
    return _QUERY.sub(r"\1", _SECRETS.sub(_blanked, without_known(text)))


def redacted(value: Any) -> Any:
    """A JSON value with all its texts redacted, the keys of mappings too.

    In a list, such as a command line, what follows a flag that is called so (``--token``) is a secret.
    """
    if isinstance(value, str):
        return redacted_text(value)
    if isinstance(value, Mapping):
        return {
            redacted_text(str(key)): SECRET if is_called_so(str(key)) and isinstance(item, str) else redacted(item)
            for key, item in value.items()
        }
    return list(_elements(value)) if isinstance(value, (list, tuple)) else value


@lru_cache(4096)  # asked for every record that is written, of the same variables
def is_called_so(name: str) -> bool:
    """Whether a setting, a flag or an environment variable of this name holds a secret."""
    return bool(_CALLED.search(name))


def _elements(values: Sequence[Any]) -> Iterator[Any]:
    before = ""
    for value in values:
        flagged = before.startswith("-") and is_called_so(before)
        yield SECRET if flagged and isinstance(value, str) else redacted(value)
        before = value if isinstance(value, str) else ""


def _known() -> list[str]:
    """The longest first, as one may be a part of another; as JSON spells them too."""
    named = {os.environ.get(name, "") for name in tuple(os.environ) if is_called_so(name)}
    found = _remembered | {value for value in named if len(value) >= _ENOUGH}
    return sorted(found | {json.dumps(value, ensure_ascii=False)[1:-1] for value in found}, key=len, reverse=True)


def _blanked(found: re.Match[str]) -> str:
    return (found["name"] or found["bearer"] or found["user"] or "") + ("" if found["user"] else SECRET)
