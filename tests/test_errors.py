"""What the system refuses reaches the user as one line, wherever it was met."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from audio_eval.errors import TooManyErrors, UserError, as_user_error, of_system


def refused(code: str, name: str | None = "runs/x") -> OSError:
    number = getattr(errno, code)
    return OSError(number, os.strerror(number), name)


@pytest.mark.parametrize(
    ("code", "mend"),
    [
        ("ENOSPC", "make room"), ("EDQUOT", "make room"), ("EFBIG", "ulimit -f"), ("EROFS", "choose another place"),
        ("EACCES", "rights"), ("ENAMETOOLONG", "shorter"), ("EMFILE", "ulimit -n"), ("ENOENT", "put it there"),
        ("EISDIR", "a file stands where a folder is meant"), ("EIO", "fails"),
    ],
)  # fmt: skip
def test_what_was_refused_where_and_what_helps(code: str, mend: str) -> None:
    said = of_system(refused(code))
    assert said.startswith("'runs/x': ") and os.strerror(getattr(errno, code)) in said and mend in said
    assert "\n" not in said


def test_errors_with_little_in_them() -> None:
    assert of_system(refused("ENOSPC", None)).startswith("No space left on device; ")
    assert of_system(OSError("the proxy\nsays no.")) == "the proxy says no"
    assert of_system(OSError()) == "OSError"
    assert of_system(ConnectionResetError(errno.ECONNRESET, "reset by peer")) == "reset by peer"
    name = os.fsdecode(b"r\xff")
    assert name in of_system(refused("ENOENT", name))


def test_the_cause_is_found_behind_what_wraps_it() -> None:
    def wrapped(cause: BaseException) -> Exception:
        try:
            raise RuntimeError("the audio of 'a' could not be prepared") from cause
        except RuntimeError as error:
            return error

    assert "Too many open files" in str(as_user_error(wrapped(refused("EMFILE"))))
    assert "not enough memory" in str(as_user_error(wrapped(MemoryError())))
    assert "not enough memory" in str(as_user_error(type("OutOfMemoryError", (RuntimeError,), {})("CUDA")))
    mistake = TooManyErrors("3 of 48 items failed")
    assert as_user_error(mistake) is mistake and (mistake.code, UserError.code) == (2, 1)
    assert as_user_error(wrapped(KeyError("x"))) is None, "a fault of the program keeps its traceback"


def test_a_path_that_is_no_unicode_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UnicodeEncodeError) as caught:
        os.fsdecode(b"\xff").encode()
    assert "not valid Unicode" in str(as_user_error(caught.value))


def test_memory_that_a_limit_refuses_to_what_raises_no_memory_error() -> None:
    for error in (
        ImportError("libtorch_cpu.so: failed to map segment from shared object"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 5 bytes"),
    ):
        assert "not enough memory for PyTorch" in str(as_user_error(error))
    assert as_user_error(RuntimeError("another")) is None
