"""The cache: recordings rendered or taken out of hub data sets, and files that are either whole or not there."""

from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path

from audio_eval.store import write_atomic


def cache_root() -> Path:
    """$AUDIO_EVAL_CACHE, else ~/.cache/audio-eval."""
    return Path(os.environ.get("AUDIO_EVAL_CACHE") or Path.home() / ".cache" / "audio-eval")


def clip_path(digest: str) -> Path:
    """Where the recording with that sha256 is kept. It has no suffix: recordings are told by content."""
    return cache_root() / "clips" / digest[:2] / digest


def keep_clip(data: bytes) -> str:
    """Keep an encoded recording, once however many items share it; its sha256."""
    digest = sha256(data).hexdigest()
    path = clip_path(digest)
    if not (path.is_file() and path.stat().st_size == len(data)):
        write_atomic(path, data)
    return digest


def file_digest(path: Path) -> str:
    """The sha256 of a file, read in pieces."""
    digest = sha256()
    with path.open("rb") as file:
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()
