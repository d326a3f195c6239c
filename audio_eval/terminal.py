r"""What reaches a terminal: every text goes through ``say``, so that none of other people's can command it.

Names, answers and reasons come from files, models and servers. Escape sequences, carriage returns and marks that turn
the direction of writing are shown as what they are (``\x1b``), and a character that the stream's encoding does not
have is replaced, one for one, so that tables stay in line. Nothing here raises because of a text or of a stream.
"""

from __future__ import annotations

import codecs
import json
import logging
import os
import re
import sys
import traceback
import unicodedata
import warnings
from contextlib import suppress
from types import TracebackType
from typing import Any, TextIO

from audio_eval.redact import redacted, redacted_text

_ESCAPE_SEQUENCE = re.compile(r"\x1b\[[0-9;:?<=>]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[@-Z\\-_]")
# For streams that lack the signs of our own tables: Delta, em dash, ellipsis, plus-minus, arrow.
_SIGNS = {"\u0394": "D", "\u2014": "-", "\u2026": ".", "\u00b1": "~", "\u2192": ">"}
LONGEST_ERROR = 1_600  # characters
_FORMAT_WARNING = warnings.formatwarning
_REPLACE = "audio_eval.signs"


def _replaced(error: UnicodeError) -> tuple[str, int]:
    """A codec's error handler: each character that the encoding lacks is replaced by one that all have."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(_SIGNS.get(char, "?") for char in error.object[error.start : error.end]), error.end


codecs.register_error(_REPLACE, _replaced)


def say(*lines: str, err: bool = False) -> None:
    """Print lines to stdout, or to stderr, without secrets. A line break within one is shown escaped like all that is
    not printable.
    """
    _write("\n".join(printable(redacted_text(line)) for line in lines), sys.stderr if err else sys.stdout)


def say_error(program: str, message: str) -> None:
    """Print what went wrong as one line on stderr; of a long one, which repeats what was given, both ends."""
    line = f"{program}: error: {' '.join(message.split())}"
    if (left_out := len(line) - LONGEST_ERROR) > 0:
        half = LONGEST_ERROR // 2
        line = f"{line[:half]} [... {left_out} characters ...] {line[-half:]}"
    say(line, err=True)


def say_json(value: object) -> None:
    """Print one JSON object on a line of stdout, without secrets; what is not printable is escaped, and everything
    but ASCII where the stream has no Unicode.
    """
    text = json.dumps(redacted(value), ensure_ascii=not is_unicode(sys.stdout))
    _write("".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in text), sys.stdout)


def _write(text: str, stream: TextIO) -> None:
    """Print to a stream at once. ``ReaderGone`` where nobody reads stdout any more; ``OSError`` where it is full."""
    try:
        print(text, file=stream, flush=True)
    except OSError as error:
        _silence(stream)
        if isinstance(error, BrokenPipeError):
            raise ReaderGone from None
        error.filename = "standard output"
        raise


def _silence(stream: TextIO) -> None:
    """Let what a stream still holds, and all that follows, go nowhere: else Python fails once more when it ends."""
    with suppress(OSError, ValueError, AttributeError):  # one that a test put there has no file
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


class ReaderGone(Exception):
    """Nobody reads stdout any more, as in ``audio-eval ls | head``: the command may end, and nothing is wrong."""


class _Unheard:
    """stderr that never fails: a run does not end because nobody reads its progress (``2> >(head)``, a full disk)."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except OSError:
            _silence(self._stream)
            return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError:
            _silence(self._stream)

    def close(self) -> None:
        """Nothing: absl's log handler closes a stream that is no longer the current stderr, and it is not its own."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def printable(line: str) -> str:
    """The line with everything that is not printable escaped as Python escapes it."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)


def filter_logs() -> None:
    """Let the logs of libraries through the same filter: what they name comes from files, too."""
    loggers = (logging.root, *logging.root.manager.loggerDict.values())
    handlers = [logging.lastResort, *(h for one in loggers if isinstance(one, logging.Logger) for h in one.handlers)]
    for handler in filter(None, handlers):
        handler.addFilter(_filtered)  # the same function is added once


def _filtered(record: logging.LogRecord) -> bool:
    lines = redacted_text(record.getMessage()).split("\n")
    record.msg, record.args = "\n".join(map(printable, lines)), None
    return True


def _filtered_warning(*told: Any, **line: Any) -> str:
    """A warning as Python prints it, for ``warnings.formatwarning``."""
    return "\n".join(map(printable, redacted_text(_FORMAT_WARNING(*told, **line)).split("\n")))


def _say_fault(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Print a fault of the program as Python does, for ``sys.excepthook``: its texts may be of other people, too."""
    say(*"".join(traceback.format_exception(kind, error, trace)).rstrip("\n").split("\n"), err=True)


def plain(text: object) -> str:
    """One line without control, ANSI, bidirectional and other invisible characters: a name in a table."""
    kept = []
    for char in _ESCAPE_SEQUENCE.sub("", str(text)):
        category = unicodedata.category(char)
        if category in ("Cc", "Zl", "Zp"):
            kept.append(" ")
        elif category not in ("Cf", "Cs"):
            kept.append(char)
    return " ".join("".join(kept).split())


def settle_streams() -> None:
    """Make stdout and stderr take every text, whatever their encoding; and stderr, whatever becomes of its reader.

    What Python itself prints of warnings and faults goes through the filter from now on.
    """
    sys.excepthook, warnings.formatwarning = _say_fault, _filtered_warning
    # one that was closed (`>&-`) is None
    nowhere = open(os.devnull, "w", encoding="utf-8") if None in (sys.stdout, sys.stderr) else None  # noqa: SIM115
    if nowhere:
        sys.stdout, sys.stderr = sys.stdout or nowhere, sys.stderr or nowhere
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # one that a test or a notebook put there may have none
            stream.reconfigure(errors=_REPLACE)
    if not isinstance(sys.stderr, _Unheard):
        sys.stderr = _Unheard(sys.stderr)


def is_unicode(stream: TextIO) -> bool:
    """Whether the stream's encoding has all characters."""
    return (getattr(stream, "encoding", None) or "ascii").lower().replace("-", "").startswith("utf")


def draws(stream: TextIO) -> bool:
    """Whether it is a terminal that may be drawn on: no pipe, not ``TERM=dumb``, no ``NO_COLOR``."""
    return stream.isatty() and os.environ.get("TERM") != "dumb" and not os.environ.get("NO_COLOR")
