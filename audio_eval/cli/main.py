"""Entry point of ``audio-eval``. It imports next to nothing itself: all else is imported where an interruption and a
lack of memory are one line.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NoReturn

SAME_STOP = 1.0  # seconds in which further signals mean the same stop: a terminal and a scheduler may both send one

ONCE_MORE = 0.05  # seconds until an interruption that was lost is raised again


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; without ``argv`` it is that of this process. ``command`` has the exit codes."""
    if argv is None:
        atexit.register(lambda: handle(dict.fromkeys(stops(), signal.SIG_IGN)))  # the first is called last: all is done
        handle(dict.fromkeys(stops(), leave))
    try:
        from audio_eval.cli.command import command
    except Exception as error:
        return cannot_start(error)
    stop, lost = interrupter()
    before, hook = handle(dict.fromkeys(stops(), stop)), sys.unraisablehook
    sys.unraisablehook = lost
    try:
        return command(sys.argv[1:] if argv is None else argv)
    finally:
        sys.unraisablehook = hook
        handle(dict.fromkeys(before, leave) if argv is None else before)


def stops() -> list[signal.Signals]:
    """What asks to stop: Ctrl-C, a scheduler or a shutdown, a terminal that is closed. What is ignored, as by nohup,
    stays so.
    """
    named = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    return [stop for stop in named if signal.getsignal(stop) not in (signal.SIG_IGN, None)]


def handle(handlers: Mapping[signal.Signals, Any]) -> dict[signal.Signals, Any]:
    """Set what becomes of signals, in the main thread, where alone that can be done; returns what it was before."""
    if threading.current_thread() is not threading.main_thread():
        return {}
    return {stop: signal.signal(stop, handler) for stop, handler in handlers.items()}


def leave(*_: object) -> NoReturn:
    """End at once. An exception would be lost, or a traceback, in the imports and once Python tears itself down."""
    with suppress(OSError):
        os.write(2, b"\naudio-eval: interrupted.\n")
    os._exit(130)


def interrupter() -> tuple[Callable[..., None], Callable[[Any], None]]:
    """A handler that raises KeyboardInterrupt once, so that what is under way is tidied; a later one ends at once.

    Where a callback of a library in C or a finaliser was under way, Python drops what is raised, and tells the second
    function, which has it raised anew.
    """
    first: dict[int, float] = {}

    def stop(number: int, *_: object) -> None:
        if not first:
            first[number] = time.monotonic()
            raise KeyboardInterrupt
        if time.monotonic() - max(first.values()) > SAME_STOP:
            leave()

    def lost(told: Any) -> None:
        if not issubclass(told.exc_type, KeyboardInterrupt):
            return others(told)
        if first:  # else a library raised it, and nobody has asked
            number, _ = first.popitem()
            threading.Timer(ONCE_MORE, signal.pthread_kill, (threading.main_thread().ident, number)).start()

    others = sys.unraisablehook
    return stop, lost


def cannot_start(error: Exception) -> int:
    """Say why the imports failed, with nothing that has to be imported."""
    if os.environ.get("AUDIO_EVAL_TRACEBACK"):
        raise error
    told = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}".rstrip(".")
    mend = "Allow more memory (ulimit -v), or install it anew; AUDIO_EVAL_TRACEBACK=1 shows where."
    with suppress(OSError):  # nobody reads it
        os.write(2, f"audio-eval: error: it cannot start: {told}. {mend}\n".encode(errors="replace"))
    return 1
