"""The cache folder: recordings stored by content, and digests of large files that are not read again."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path

from audio_eval.errors import UserError, of_system
from audio_eval.store import write_atomic


def cache_root() -> Path:
    """$AUDIO_EVAL_CACHE, else ~/.cache/audio-eval; ``UserError`` for a user who has no home."""
    try:
        return Path(os.environ.get("AUDIO_EVAL_CACHE") or Path.home() / ".cache" / "audio-eval")
    except RuntimeError:
        raise UserError("this user has no home folder: set AUDIO_EVAL_CACHE to a folder for the cache.") from None


@contextmanager
def written() -> Iterator[None]:
    """``UserError`` that says how to choose another folder, where the block cannot write into the cache."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"the cache cannot be written: {of_system(error)}; AUDIO_EVAL_CACHE=DIR takes another folder."
        ) from None


def clip_path(digest: str) -> Path:
    """Path of the recording with this sha256. It has no suffix: the audio format is detected from the content."""
    return cache_root() / "clips" / digest[:2] / digest


def keep_clip(data: bytes) -> str:
    """Store an encoded recording, once for all items that share it; returns its sha256."""
    digest = sha256(data).hexdigest()
    path = clip_path(digest)
    if not (path.is_file() and path.stat().st_size == len(data)):
        with written():
            write_atomic(path, data)
    return digest


def file_digest(path: Path) -> str:
    """The sha256 of a file, read in blocks."""
    digest = sha256()
    with path.open("rb") as file:
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()


# A file may change once more within one tick of its file system's clock, so a digest is kept of older files only.
_SETTLED = 2.0


def kept_digest(path: Path) -> str:
    """The sha256 of a file, which is read again only if it is another file or was written to.

    That is known by its path, size, inode and times, of which nobody can set the last (st_ctime). A blob of the hub's
    cache has its sha256 for a name.
    """
    whole = path.resolve()
    if whole.parent.name == "blobs" and len(whole.name) == 64:
        return whole.name
    state = whole.stat()
    known_by = f"{whole} {state.st_size} {state.st_ino} {state.st_mtime_ns} {state.st_ctime_ns}"
    kept = cache_root() / "digests" / sha256(known_by.encode()).hexdigest()
    with suppress(OSError, ValueError):
        if len(told := kept.read_text()) == 64:  # sha256 in hex; an empty file is what a crash of the machine leaves
            return told
    digest = file_digest(whole)
    if time.time() - max(state.st_mtime, state.st_ctime) > _SETTLED and whole.stat() == state:
        with suppress(OSError):  # a cache that cannot be written costs time, and nothing else
            write_atomic(kept, digest.encode())
    return digest
