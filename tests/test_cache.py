"""Digests of large files: of what is in them, though they are read once."""

from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path

import pytest

from audio_eval import cache
from audio_eval.cache import kept_digest


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Path]:
    """The files that are read whole, for clocks that have moved on."""
    monkeypatch.setenv("AUDIO_EVAL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(cache, "_SETTLED", -1.0)
    whole, found = cache.file_digest, list[Path]()
    monkeypatch.setattr(cache, "file_digest", lambda path: found.append(path) or whole(path))
    return found


def test_a_file_is_read_once_and_again_when_it_is_another(read: list[Path], tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    file.write_bytes(b"one")
    assert [kept_digest(file) for _ in range(3)] == [sha256(b"one").hexdigest()] * 3 and len(read) == 1
    times = file.stat().st_atime_ns, file.stat().st_mtime_ns
    file.write_bytes(b"two")  # as long, and with the time of the old one, as a copy may have
    os.utime(file, ns=times)
    assert kept_digest(file) == sha256(b"two").hexdigest() and len(read) == 2


def test_a_file_of_just_now_is_not_trusted(read: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be written to again within one tick of the clock."""
    monkeypatch.setattr(cache, "_SETTLED", 2.0)
    file = tmp_path / "model.safetensors"
    file.write_bytes(b"one")
    kept_digest(file)
    kept_digest(file)
    assert len(read) == 2


def test_a_blob_of_the_hub_has_its_digest_for_a_name(read: list[Path], tmp_path: Path) -> None:
    blob = tmp_path / "blobs" / sha256(b"weights").hexdigest()
    blob.parent.mkdir()
    blob.write_bytes(b"weights")
    link = tmp_path / "model.safetensors"
    link.symlink_to(blob)
    assert kept_digest(link) == blob.name and read == []
