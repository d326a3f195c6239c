"""Methods by name or from a file, checked before anything else is loaded."""

from __future__ import annotations

import inspect
import os
from pathlib import Path
from traceback import extract_tb
from typing import Any

from audio_eval.errors import UserError, reason_of
from audio_eval.method import Method, MethodConfig
from audio_eval.plugins import from_file, loading, named


def is_path(name: str) -> bool:
    """Whether ``name`` has the form ``path/to/file.py:Class``."""
    return name.rpartition(":")[0].endswith(".py")


def method_class(name: str) -> type[Method]:
    """A registered method, or ``path/to/file.py:Class``; what cannot work as a method is a ``UserError``."""
    if is_path(name):
        path, _, attribute = name.rpartition(":")
        return _checked(from_file(Path(path), attribute, "method"), name)
    cls = _checked(named("methods", "method", name), name)
    if cls.name != name:  # results go by the class's name: a row of the table could not be asked for again
        raise UserError(f"method '{name}' is registered under this name but its class says name = '{cls.name}'.")
    return cls


def failed(error: BaseException, name: str) -> UserError | None:
    """The line for an error in a method that is not ours, with the place in its file; None for any other fault, and
    where the environment has ``AUDIO_EVAL_TRACEBACK``. What is no ``Exception``, such as ``sys.exit``, is always one.
    """
    file = Path(name.rpartition(":")[0]) if is_path(name) else Path(inspect.getfile(method_class(name)))
    ours = not is_path(name) and method_class(name).__module__.startswith("audio_eval.")
    lines = [at.lineno for at in extract_tb(error.__traceback__) if Path(at.filename).resolve() == file.resolve()]
    if isinstance(error, Exception) and (ours or not lines or os.environ.get("AUDIO_EVAL_TRACEBACK")):
        return None
    place = f" in {file}, line {lines[-1]}" if lines else ""
    return UserError(
        f"method '{name}' failed{place} ({type(error).__name__}: {reason_of(error)}); "
        "AUDIO_EVAL_TRACEBACK=1 shows the calls."
    )


def _checked(found: Any, name: str) -> type[Method]:
    """``found``, if it is a Method whose defaults hold and that can say what it needs."""
    if not (isinstance(found, type) and issubclass(found, Method)):
        raise UserError(f"method '{name}' is not a subclass of audio_eval.Method.")
    if not isinstance(getattr(found, "name", None), str):
        raise UserError(f"method '{name}' has no name: its class needs a line such as name = 'my_method'.")
    config = found.Config
    if not (isinstance(config, type) and issubclass(config, MethodConfig)):
        raise UserError(f"method '{name}': its Config is not a subclass of audio_eval.method.MethodConfig.")
    if required := [key for key, field in config.model_fields.items() if field.is_required()]:
        raise UserError(f"method '{name}': its Config has no default for {', '.join(required)}.")
    with loading(f"method '{name}' cannot be made"):
        method = found()
        _ = method.needs_labels, method.transductive, method.needs_judge, method.needs_logprobs, method.cost(1, 1, 1)
    return found
