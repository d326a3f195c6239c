"""What must not leave the machine with a run: secrets, and where things lie on the disk."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from audio_eval.redact import SECRET, is_called_so, is_secret, redacted_text, without_known

ELSEWHERE = "..."
# From a slash, a home or a drive on, two or more names; what stands before must not make it a URL or a relative path.
_PATH = re.compile(
    r"""(?<![\w.:/\\~)}\]-])(?:file://)?(?:~?(?:/[^\s/'"<>|,;:(){}\[\]\\]+){2,}/?|[A-Za-z]:\\[^\s'"<>|,;]+|\\\\[^\s'"<>|,;]+)"""
)


class Stripper:
    """``roots`` are folders whose place is nobody's business, beside those of the user, of this process and of values
    of environment variables that are called a key, token, secret or password.
    """

    def __init__(self, roots: Iterable[str | Path | None] = ()) -> None:
        places = {str(Path(root).expanduser().absolute()) for root in (*roots, Path.home(), Path.cwd()) if root}
        self._roots = sorted((place for place in places if len(Path(place).parts) > 1), key=len, reverse=True)

    def text(self, text: str) -> str:
        """The text with its secrets taken out, and absolute paths cut down to their last name."""
        text = redacted_text(text)
        if _absolute(text):
            return f"{ELSEWHERE}/{_last(text)}"
        return _PATH.sub(lambda found: f"{ELSEWHERE}/{_last(found[0])}", self.roots_out(text))

    def roots_out(self, text: str) -> str:
        """The text without the known roots and the environment's secrets: for pages, in which a slash means much."""
        text = without_known(text)
        for root in self._roots:
            text = re.sub(re.escape(root) + r"(?![\w-])", ELSEWHERE, text)
        return text

    def value(self, value: Any) -> Any:
        """A JSON value with all its texts stripped, the keys of mappings too."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {
                self.text(str(key)): SECRET if is_called_so(str(key)) and is_secret(item) else self.value(item)
                for key, item in value.items()
            }
        return [self.value(item) for item in value] if isinstance(value, (list, tuple)) else value


def _absolute(text: str) -> bool:
    return "\n" not in text and (
        PurePosixPath(text).is_absolute() or PureWindowsPath(text).is_absolute() or text.startswith(("~/", "file:///"))
    )


def _last(path: str) -> str:
    return PureWindowsPath(path).name or "path"
