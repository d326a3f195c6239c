"""What must not leave the machine with a run: secrets, and where things lie on the disk."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

SECRET, ELSEWHERE = "[secret]", "..."
_NAME = r"(?:api[_-]?key|access[_-]?key|key|token|secret|passw(?:or)?d|credential|authorization)"
_SECRET_NAME = re.compile(rf"(?:^|[_.-]){_NAME}$", re.IGNORECASE)
_SECRETS = re.compile(
    rf"""(?P<name>\b(?:\w+[_.-])?{_NAME}["']?\s*[=:]\s*)(?:bearer\s+)?[^\s,;&"']+
    |(?P<bearer>\bbearer\s+)[\w.~+/=-]{{8,}}
    |(?P<user>https?://)[^\s/@?\#]*@
    |\b(?:hf_[A-Za-z0-9]{{16,}}|sk-[\w-]{{16,}}|gh[opsur]_\w{{16,}}|AKIA[A-Z0-9]{{12,}}|xox[abprs]-[\w-]{{10,}})""",
    re.IGNORECASE | re.VERBOSE,
)
_QUERY = re.compile(r"(https?://[^\s?\"'<>]+)\?[^\s\"'<>]+", re.IGNORECASE)
# From a slash, a home or a drive on, two or more names; what stands before must not make it a URL or a relative path.
_PATH = re.compile(
    r"""(?<![\w.:/\\~)}\]-])(?:file://)?(?:~?(?:/[^\s/'"<>|,;:(){}\[\]\\]+){2,}/?|[A-Za-z]:\\[^\s'"<>|,;]+|\\\\[^\s'"<>|,;]+)"""
)
_ENOUGH = 8  # characters; a shorter value of a variable would be found in many a word


class Stripper:
    """``roots`` are folders whose place is nobody's business, beside those of the user, of this process and of values
    of environment variables that are called a key, token, secret or password.
    """

    def __init__(self, roots: Iterable[str | Path | None] = ()) -> None:
        places = {str(Path(root).expanduser().absolute()) for root in (*roots, Path.home(), Path.cwd()) if root}
        self._roots = sorted((place for place in places if len(Path(place).parts) > 1), key=len, reverse=True)
        self._values = [
            value for name, value in os.environ.items() if len(value) >= _ENOUGH and _SECRET_NAME.search(name)
        ]

    def text(self, text: str) -> str:
        """The text with its secrets taken out, and absolute paths cut down to their last name."""
        for value in self._values:
            text = text.replace(value, SECRET)
        text = _QUERY.sub(r"\1", _SECRETS.sub(_blanked, text))
        if _absolute(text):
            return f"{ELSEWHERE}/{_last(text)}"
        return _PATH.sub(lambda found: f"{ELSEWHERE}/{_last(found[0])}", self.roots_out(text))

    def roots_out(self, text: str) -> str:
        """The text without the known roots and the environment's secrets: for pages, in which a slash means much."""
        for value in self._values:
            text = text.replace(value, SECRET)
        for root in self._roots:
            text = re.sub(re.escape(root) + r"(?![\w-])", ELSEWHERE, text)
        return text

    def value(self, value: Any) -> Any:
        """A JSON value with all its texts stripped, the keys of mappings too."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {
                self.text(str(key)): SECRET
                if _SECRET_NAME.search(str(key)) and isinstance(item, str)
                else self.value(item)
                for key, item in value.items()
            }
        return [self.value(item) for item in value] if isinstance(value, (list, tuple)) else value


def _blanked(found: re.Match[str]) -> str:
    return (found["name"] or found["bearer"] or found["user"] or "") + ("" if found["user"] else SECRET)


def _absolute(text: str) -> bool:
    return "\n" not in text and (
        PurePosixPath(text).is_absolute() or PureWindowsPath(text).is_absolute() or text.startswith(("~/", "file:///"))
    )


def _last(path: str) -> str:
    return PureWindowsPath(path).name or "path"
