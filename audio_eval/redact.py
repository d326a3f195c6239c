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
from urllib.parse import quote, unquote

SECRET = "[secret]"
_NAME = (
    r"(?:api(?:[ _-]|%5F|%2D)?key|access[_-]?key|token|secret|passw(?:or)?d|passphrase|credential|signature|sig|auth"
    r"|authorization|cookie)"
)
_CAMEL = r"(?-i:[A-Za-z]*[a-z](?:Key|Token|Secret|Password|Credential|Signature))"
_BYTES = r"(?-i:b(?=\\?[\"']))?"
_QUOTE = _BYTES + r"\\?[\"']?"
# In a sentence a word is taken for a secret where no word is so: letters and digits in one, and long.
_OPAQUE = r"(?=[^\s\"'<>()]{0,200}\d)(?=[^\s\"'<>()]{0,200}[a-z])[\w.~+/=%@$!^*-]"
_DONE = r"(?!\s*[\[({]?\s*b?\\?[\"']?\[(?:secret|key)\])"  # it was taken out before
# A bare "key" is called so where it is a name by itself; in a text it may be that of a piece of music.
_CALLED = re.compile(rf"(?:(?:^|[_.-])(?:{_NAME}|key)|{_CAMEL})(?:_?\d{{1,2}})?$", re.IGNORECASE)
# The numbers bound what a text made for it can take: every match is linear.
_QUERY = re.compile(r"([a-z][a-z0-9+.-]{1,15}://[^\s?#\"'<>]{1,800})[?#][^\s\"'<>]+", re.IGNORECASE)
_SECRETS = re.compile(
    rf"""(?P<header>\b(?:proxy-)?(?:authorization|(?:set-)?cookie)\\?["']?\s*[=:]{_DONE}\s*{_QUOTE})
        (?:digest\b[^\r\n]+|[^\r\n"'\\]+)
    |(?P<name>(?:(?:\b|(?<=%2[27]))(?:(?:\w+[_.-])?{_NAME}|\w+[_.-]key|{_CAMEL})(?:_?\d{{1,2}})?
            (?:\ (?:provided|given))?(?:\\?["']|%2[27])?\s*(?:[=-]>|:=|=(?!>)|[:\uff1a](?!=)|%3D|%3A)
            |--(?:[\w-]{{1,20}}-)?(?:{_NAME}|key)[\ =]
            |[?&,;]key=|\b(?:\w+_)?(?:pwd|pw|passcode|sessionid)\s*[=:])
        {_DONE}\s*[\[({{]?\s*{_BYTES})(?:(?:bearer|!!str|[|>][+-]?)\s+)?
        (?:\\?"[^"]{{1,400}}"|\\?'[^']{{1,400}}'|\\?["']?[^\s,;&"']+)
    |(?P<pair>\b(?:name|key)["']?\s*[:=]\s*["']?(?:\w*[_.-])?(?:{_NAME}|{_CAMEL})["']?,?\s+["']?value["']?\s*[:=]{_DONE}
        \s*["']?|<(?:[\w:-]{{1,40}}[_:-])?{_NAME}>{_DONE}|\s(?:-u|--user)[ =][^\s:]{{1,64}}:{_DONE})[^\s"'<>]+
    |(?P<said>\b(?:(?:(?:\w+[_.-])?(?:{_NAME})|(?:secret|private)\ key)(?:\s+(?:is|was)\s+["']?|["'],\s*["'])
            |(?:(?:api|access|secret|private)[ _-]?key|\w+[_.-](?:key|token|secret|password)|passw(?:or)?d|passphrase
            |(?:my|your|invalid|access)\ token)\s+[("']{{0,2}}))
        {_OPAQUE}{{12,}}
    |(?P<key>\bkey(?:\s+is\s+|["']?\s*[:=]\s*)["']?){_OPAQUE}{{16,}}
    |(?P<basic>\bbasic\s+)(?=[\w+/-]*[\d=])[\w+/-]{{12,}}={{0,2}}
    |(?P<bearer>\bbearer[\s:]+)[\w.~+/=-]{{8,}}
    |(?P<user>\b[a-z][a-z0-9+.-]{{1,15}}://)(?:[^\s/?\#"'<>]{{0,400}}|[^\s:"'<>,]{{0,400}}:(?!\d+/)[^\s"'<>,]{{0,400}})@
    |(?P<spelled>%3A%2F%2F)[^\s"'<>&@]{{0,400}}?%40
    |(?<![\w.@/:-])(?://)?[\w.%+-]{{1,64}}:[^\s:@/\\"'<>,]{{3,200}}@(?=[\w\[])
    |\b(?:hf_[a-z0-9]{{16,}}|hf_jwt_[\w-]{{10,}}|sk-[\w-]{{16,}}|[rs]k_(?:live|test)_\w{{16,}}|gh[opsur]_\w{{16,}}
        |github_pat_\w{{16,}}|gl(?:pat|dt|rt|ft|ptt|soat|cbt)-[\w-]{{16,}}|gsk_\w{{16,}}|glsa_\w{{16,}}|nvapi-[\w-]{{16,}}|xai-\w{{16,}}|pplx-\w{{16,}}
        |r8_\w{{16,}}|npm_\w{{16,}}|wandb_v1_\w{{16,}}|AIza[\w-]{{30,}}|ya29\.[\w-]{{16,}}|AKIA[a-z0-9]{{12,}}
        |(?-i:ASIA[A-Z0-9]{{16}}|SG\.[\w-]{{16,}}\.[\w-]{{16,}}|GOCSPX-[\w-]{{16,}}|ATATT3[\w=-]{{16,}})|pypi-[\w-]{{40,}}
        |do[opr]_v1_\w{{16,}}|shp(?:at|ca|pa|ss)_\w{{16,}}|sq0(?:csp|atp)-[\w-]{{16,}}|whsec_\w{{16,}}|dckr_pat_[\w-]{{16,}}
        |hv[sbr]\.[\w-]{{16,}}|lin_api_\w{{16,}}|fig[dou]_[\w-]{{16,}}|tvly-[\w-]{{16,}}|\d{{8,10}}:AA[\w-]{{30,}}
        |xapp-[\w-]{{10,}}|xox[abeprs][.-][\w.-]{{10,}}
        |eyJ[\w-]{{10,400}}\.[\w-]{{10,2000}}\.[\w-]*)
    |(?P<hook>\bhooks\.slack\.com/services/|\bdiscord(?:app)?\.com/api/webhooks/\d{{1,25}}/|\bapi\.telegram\.org/bot)[\w/:-]+
    |-----BEGIN\ [A-Z ]*PRIVATE\ KEY(?:\ BLOCK)?-----(?:[^-]|-(?!----)){{0,20000}}
        (?:-----END\ [A-Z ]*KEY(?:\ BLOCK)?-----)?""",
    re.IGNORECASE | re.VERBOSE,
)
_PROXY = re.compile(r"://[^/\s:@]*:([^/\s@]+)@")  # the password in the URL of a proxy
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
            redacted_text(str(key)): SECRET if is_called_so(str(key)) and is_secret(item) else redacted(item)
            for key, item in value.items()
        }
    return list(_elements(value)) if isinstance(value, (list, tuple)) else value


def is_secret(value: Any) -> bool:
    """Whether a value may be a secret where its name says so: a text, or a list of texts. A benchmark may call a group
    of items "key", and figures stand under it.
    """
    return isinstance(value, str) or (isinstance(value, (list, tuple)) and any(isinstance(v, str) for v in value))


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
    """The longest first, as one may be a part of another; as JSON and URLs spell them too."""
    named = {os.environ.get(name, "") for name in tuple(os.environ) if is_called_so(name)}
    for name in tuple(os.environ):
        if name.lower().endswith("_proxy"):
            named |= {form for value in _PROXY.findall(os.environ.get(name, "")) for form in (value, unquote(value))}
    found = _remembered | {value for value in named if len(value) >= _ENOUGH}
    spelled = {form for value in found for form in (json.dumps(value, ensure_ascii=False)[1:-1], quote(value, safe=""))}
    return sorted(found | spelled, key=len, reverse=True)


def _blanked(found: re.Match[str]) -> str:
    kept = next((text for text in found.groupdict().values() if text), "")
    return kept + ("" if found["user"] or found["spelled"] else SECRET)
