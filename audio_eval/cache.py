"""The cache folder, and the recordings in it, stored by content."""

from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path

from audio_eval.store import write_atomic


def cache_root() -> Path:
    """$AUDIO_EVAL_CACHE, else ~/.cache/audio-eval."""
    return Path(os.environ.get("AUDIO_EVAL_CACHE") or Path.home() / ".cache" / "audio-eval")


def clip_path(digest: str) -> Path:
    """Path of the recording with this sha256. It has no suffix: the audio format is detected from the content."""
    return cache_root() / "clips" / digest[:2] / digest


def keep_clip(data: bytes) -> str:
    """Store an encoded recording, once for all items that share it; returns its sha256."""
    digest = sha256(data).hexdigest()
    path = clip_path(digest)
    if not (path.is_file() and path.stat().st_size == len(data)):
        write_atomic(path, data)
    return digest


def file_digest(path: Path) -> str:
    """The sha256 of a file, read in blocks."""
    digest = sha256()
    with path.open("rb") as file:
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()
