"""The errors that a user sees as one line: their own mistakes, "Did you mean", and what the system refuses."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from difflib import get_close_matches
from traceback import walk_tb
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from pydantic import ValidationError


class UserError(Exception):
    """A mistake the user can mend. The message is one line: what is wrong, where, and how to mend it.

    ``code`` is the exit code of a command that ends with it.
    """

    code: ClassVar[int] = 1


class NotHere(UserError):
    """Data that are not on this machine and cannot be fetched: nothing is wrong with what the user typed."""


class TooManyErrors(UserError):
    """Items of a run failed: more than may, or some that could be read when it began. The run can be resumed."""

    code: ClassVar[int] = 2


# What helps where the system refuses something, by errno's names.
_MENDS = {
    "ENOSPC EDQUOT": "make room there",
    "EFBIG": "a file may not become that large there (ulimit -f)",
    "EACCES EPERM EROFS": "it needs rights that are not given: change them, or choose another place",
    "ENAMETOOLONG": "choose shorter names",
    "EMFILE ENFILE": "allow more open files (ulimit -n)",
    "ENOENT": "put it there, or choose another place",
    "EISDIR ENOTDIR EEXIST": "a file stands where a folder is meant, or a folder where a file is: choose another place",
    "EIO ESTALE ENOTCONN ETIMEDOUT": "the disk, or the connection to it, fails",
}

# Of the linker, of PyTorch's allocator and of oneDNN, which raise no MemoryError.
_NO_MEMORY = ("failed to map segment", "can't allocate memory", "could not create a primitive")


def of_system(error: OSError) -> str:
    """What the system refused, where, and what may help, without a full stop."""
    names = (name for name in (error.filename, error.filename2) if isinstance(name, (str, bytes)))
    file = next(map(os.fsdecode, names), "")
    where = f"'{file}': " if file else ""
    what = error.strerror or " ".join(str(error).split())[:300].rstrip(".") or type(error).__name__
    code = errno.errorcode.get(error.errno or 0, "")
    mends = [mend for codes, mend in _MENDS.items() if code in codes.split()]
    return where + "; ".join([what, *mends])


def as_user_error(error: BaseException) -> UserError | None:
    """What an error tells the user: itself, or what the system refused behind it; None where neither is so, a fault of
    the program.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, UserError):
            return cause
        if isinstance(cause, OSError):
            return UserError(f"{of_system(cause)}.")
        if "use_deterministic_algorithms" in str(cause):  # PyTorch's, of what has no deterministic kernel
            what = " ".join(str(cause).split())[:120]
            return UserError(f"--deterministic cannot be kept: {what}... Leave it out, or take --device cpu.")
        if any(said in str(cause) for said in _NO_MEMORY) and isinstance(cause, (ImportError, RuntimeError)):
            return UserError("there is not enough memory for PyTorch: raise the limit (ulimit -v), or close programs.")
        if "can't start new thread" in str(cause):
            return UserError("no thread can be started: raise the limit (ulimit -u, -v), or close programs.")
        if isinstance(cause, MemoryError) or type(cause).__name__ == "OutOfMemoryError":  # torch's, for a device's
            return UserError("there is not enough memory: a smaller --batch-size, or tune=lora, needs less.")
        if isinstance(cause, UnicodeError):
            return UserError(f"a text or a name is not valid Unicode: {' '.join(str(cause).split())[:200]}.")
        cause = cause.__cause__
    return None


def reason_of(error: BaseException) -> str:
    """What an error in code that is not ours says, in one line of bounded length."""
    return "it called sys.exit" if isinstance(error, SystemExit) else " ".join(str(error).split())[:300]


def of_stranger(error: BaseException) -> UserError | None:
    """The line for what code that is not ours raised: to end a program, as ``sys.exit`` does or a task that is
    cancelled; or on its import, as libraries do for a bad value of a variable that they read. None for our own faults.
    """
    what = reason_of(error)
    if not isinstance(error, Exception):
        return UserError(f"code that was called ended the command ({type(error).__name__}: {what}).")
    frames = (frame for frame, _ in walk_tb(error.__traceback__) if frame.f_code.co_name == "<module>")
    names = [str(frame.f_globals.get("__name__")).split(".")[0] for frame in frames]
    foreign = [name for name in names if name not in ("__main__", "audio_eval")]
    if not foreign or os.environ.get("AUDIO_EVAL_TRACEBACK"):
        return None
    return UserError(
        f"{foreign[0]} cannot be imported ({type(error).__name__}: {what}): look at the environment variables that it "
        "reads, or install it anew; AUDIO_EVAL_TRACEBACK=1 shows the calls."
    )


def unknown(what: str, name: str, known: Iterable[str], where: str = "", see: str = "") -> UserError:
    """The error for a name that is not known: the near match if there is one, and what is available, or the command
    to ``see`` that lists it.
    """
    names = sorted(known)
    bare = {one.lstrip("-"): one for one in names}  # the dashes of a flag make none like another
    near = get_close_matches(name.lstrip("-"), bare, n=1, cutoff=0.5)
    hint = f" Did you mean '{bare[near[0]]}'?" if near else ""
    rest = f"See {see}" if see else f"Available: {', '.join(names)}"
    return UserError(f"unknown {what} '{name}'{where}.{hint} {rest}.")


def explain(error: ValidationError) -> str:
    """What pydantic found wrong, as one line: the first five of it."""
    found = error.errors()
    told = [f"{'.'.join(map(str, e['loc']))}: {e['msg'].lower()} (given: {e['input']!s:.80})" for e in found[:5]]
    return "; ".join(told) + (f"; and {len(found) - 5} more." if len(found) > 5 else ".")
