"""What a run directory would run, or hand out, that the user has not named: nothing of it happens without ``--trust``.

``resume`` takes its settings from the directory, which may be a stranger's. Registered methods, models, backends and
tasks are the user's own: they were installed. A Python file, a folder of tasks, a program or a server are not.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from audio_eval.cache import file_digest
from audio_eval.errors import UserError
from audio_eval.models.api.settings import ServerSettings
from audio_eval.models.backends import choose
from audio_eval.registry import is_path
from audio_eval.runlog import RunLog, RunSpec

_KEY = ServerSettings.model_fields["key_env"].default
_HERE = (None, "localhost", "127.0.0.1", "::1")  # None: no server is named
_PLAIN = ("hf", "vllm", "api")  # backends whose settings start no program and no code


def check_trusted(log: RunLog, spec: RunSpec, trusted: bool) -> list[str]:
    """What of the directory's own is run or reached, in words. ``UserError`` where there is any that is not trusted.

    And where the file of the method is another one than the directory says it ran, before it is imported.
    """
    found = list(_foreign(spec))
    if found and not trusted:
        raise UserError(
            f"'{log.folder}' {'; '.join(found)}: a directory of a stranger may do harm by that. If it is yours, or you "
            "know what is in there, --trust goes on with it; so does the command that began it."
        )
    if is_path(spec.method) and (identity := log.identity()):
        path = _file(spec.method)
        if path.is_file() and file_digest(path) not in dict(identity.method).values():
            raise UserError(f"'{path}' is not the file that '{log.folder}' ran: its sha256 differs, and it is not run.")
    return found


def _foreign(spec: RunSpec) -> Iterator[str]:
    if is_path(spec.method):
        path = _file(spec.method)
        yield f"runs the code of '{path}'" + (f" (sha256 {file_digest(path)[:12]})" if path.is_file() else "")
    if spec.include_path:
        yield f"takes tasks, and the code that they name, from '{spec.include_path}'"
    backend = choose(spec.model, spec.backend).backend.name
    if backend not in _PLAIN and spec.model_args:
        yield f"has settings of its own for backend '{backend}', which may start programs"
    known = {*_HERE, _host(os.environ.get("OPENAI_BASE_URL"))}
    for url in (spec.judge, spec.model_args.get("base_url")):
        if _host(url) not in known:
            yield f"sends items, and your key, to '{url}'"
    if (variable := spec.model_args.get("key_env", _KEY)) != _KEY:
        yield f"sends the value of the environment variable {variable}"


def _file(method: str) -> Path:
    return Path(method.rpartition(":")[0])


def _host(url: object) -> str | None:
    """The host of a URL; "?" where it has none that can be read."""
    if url is None or url == "":
        return None
    try:
        return urlsplit(str(url)).hostname or "?"
    except ValueError:
        return "?"
