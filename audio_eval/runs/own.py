"""What runs that began on this machine have read: pages of any run take recordings and tasks from there alone.

A run directory may be a stranger's. Its spec.json names folders of tasks, whose code is run when they are loaded, and
its questions.jsonl names files. So the folders of recordings, and the specs, of runs that began here are remembered in
the cache folder, by digests of their names.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from audio_eval.audio import audio_dirs
from audio_eval.cache import cache_root
from audio_eval.questions import Question
from audio_eval.runlog.spec import ResponsesSpec, RunSpec, settings_of
from audio_eval.store import write_atomic

MOST = 64  # folders of recordings that are remembered one by one; of more the one that holds them


def is_remembered(place: str) -> bool:
    """Whether ``remember`` was called with it on this machine."""
    return _mark(place).is_file()


def remember(place: str) -> None:
    """The user has named it, or a run of the user's has read it; a cache that cannot be written keeps nothing."""
    with suppress(OSError):
        if not is_remembered(place):
            write_atomic(_mark(place), b"")


def remember_read(spec: RunSpec | ResponsesSpec, questions: Iterable[Question]) -> None:
    """A run begins, of items that were loaded here: its spec, and where their recordings lie."""
    remember(_spec(spec))
    remember_folders(audio.path for question in questions for audio in question.audios if audio.path)


def remember_folders(recordings: Iterable[str]) -> None:
    """The folders of recordings are the user's own."""
    folders = sorted({os.path.dirname(os.path.realpath(path)) for path in recordings})
    if len(folders) > MOST:
        folders = [os.path.commonpath(folders)]
    for folder in folders:
        if not Path.home().is_relative_to(folder):  # nor "/"
            remember(_folder(folder))


def is_own(spec: RunSpec | ResponsesSpec) -> bool:
    """Whether a run of this spec began here, so that loading what it names is what the user has done before."""
    return is_remembered(_spec(spec))


def may_be_heard(path: str) -> bool:
    """Whether a recording lies where runs of this machine had theirs, in the cache or in ``AUDIO_EVAL_AUDIO_DIRS``."""
    try:
        real = Path(os.path.realpath(path))
    except ValueError:  # a path that no file can have
        return False
    kept = [os.path.realpath(folder) for folder in (str(cache_root()), *audio_dirs())]
    return any(str(folder) in kept or is_remembered(_folder(str(folder))) for folder in real.parents)


def _spec(spec: RunSpec | ResponsesSpec) -> str:
    return f"spec {json.dumps(settings_of(spec), sort_keys=True, default=str)}"


def _folder(folder: str) -> str:
    return f"recordings {folder}"


def _mark(place: str) -> Path:
    return cache_root() / "named" / sha256(place.encode("utf-8", "surrogatepass")).hexdigest()
