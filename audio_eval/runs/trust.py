"""What a run directory would run, or hand out, that the user has not named: nothing of it happens without ``--trust``.

``resume`` takes its settings from the directory, which may be a stranger's. Registered methods, models, backends and
tasks are the user's own: they were installed. So are the files, folders, programs and servers of runs that began on
this machine, which are remembered in the cache folder by their places; all others are not.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

from audio_eval.cache import file_digest
from audio_eval.errors import UserError
from audio_eval.models.api.settings import ServerSettings
from audio_eval.models.backends import choose
from audio_eval.prompts import SUFFIXES
from audio_eval.questions import Question
from audio_eval.registry import is_path
from audio_eval.runlog import RunLog, RunSpec
from audio_eval.runs.own import is_remembered, remember, remember_read

_METHOD = "method "
_KEY = ServerSettings.model_fields["key_env"].default
_HERE = (None, "localhost", "127.0.0.1", "::1")  # None: no server is named
_PLAIN = ("hf", "vllm", "api")  # backends whose settings start no program and no code


def remember_named(spec: RunSpec, questions: Iterable[Question]) -> None:
    """The user begins a run of these questions: what its spec names, and reads, is the user's own from now on."""
    remember_read(spec, questions)
    for place, _ in _named(spec):
        remember(place)


def check_trusted(log: RunLog, spec: RunSpec, trusted: bool) -> list[str]:
    """What is run or reached that only the directory names, in words. ``UserError`` where it is not trusted.

    And where the file of the method is another one than the directory says it ran, before it is imported.
    """
    found = [(place, what) for place, what in _named(spec) if not is_remembered(place)]
    if found and not trusted:
        raise UserError(
            f"'{log.folder}' {'; '.join(what for _, what in found)}: a directory of a stranger may do harm by that. If "
            "you know what is in there, --trust goes on with it; so does the command that began it."
        )
    for place, _ in found:
        if place.startswith(_METHOD) and (identity := log.identity()):
            path = _file(spec.method)
            if path.is_file() and file_digest(path) not in dict(identity.method).values():
                raise UserError(
                    f"'{path}' is not the file that '{log.folder}' ran: its sha256 differs, and it is not run."
                )
    return [what for _, what in found]


def _named(spec: RunSpec) -> Iterator[tuple[str, str]]:
    """The places that a spec names beside what is installed, and what a directory does by naming them."""
    if is_path(spec.method):
        path = _file(spec.method)
        digest = f" (sha256 {file_digest(path)[:12]})" if path.is_file() else ""
        yield f"{_METHOD}{path.resolve()}", f"runs the code of '{path}'{digest}"
    if spec.include_path:
        place = f"tasks {Path(spec.include_path).resolve()}"
        yield place, f"takes tasks, and the code that they name, from '{spec.include_path}'"
    if not spec.prompt_source and str(spec.prompt).endswith(SUFFIXES):  # a plan keeps what the file held
        yield f"prompt {Path(str(spec.prompt)).resolve()}", f"reads '{spec.prompt}' into the prompts"
    backend = choose(spec.model, spec.backend).backend.name
    if backend not in _PLAIN and spec.model_args:
        place = f"backend {backend} {json.dumps(spec.model_args, sort_keys=True, default=str)}"
        yield place, f"has settings of its own for backend '{backend}', which may start programs"
    known = {*_HERE, _host(os.environ.get("OPENAI_BASE_URL"))}
    for url in (spec.judge, spec.model_args.get("base_url")):
        if (host := _host(url)) not in known:
            yield f"server {host}", f"sends items, and your key, to '{url}'"
    if (variable := spec.model_args.get("key_env", _KEY)) != _KEY:
        server = _host(spec.model_args.get("base_url"))
        yield f"key {variable} {server}", f"sends the value of the environment variable {variable}"


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
