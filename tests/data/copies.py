"""Small copies of hub data sets: real parquet files with real recordings, and a hub that serves them."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import datasets
import huggingface_hub
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile

from audio_eval.data import Provenance, Sources

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def provenance(sources: Sources, **given: Any) -> Provenance:
    """What the sources tell of the split that they read."""
    told: list[Provenance] = []
    sources(**given, on_read=lambda data, provenance: told.append(provenance))
    (found,) = told
    return found


def recording(pitch: float = 440.0, kind: str = "WAV", seconds: float = 0.2, channels: int = 1) -> bytes:
    """An encoded tone."""
    rate = 16_000
    tone = 0.3 * np.sin(2 * np.pi * pitch * np.arange(int(rate * seconds)) / rate)
    buffer = io.BytesIO()
    soundfile.write(buffer, np.tile(tone[:, None], channels), rate, format=kind)
    return buffer.getvalue()


def clip(data: bytes | None, path: str | None = None) -> dict[str, Any]:
    """A value of an audio column as ``datasets`` stores it."""
    return {"bytes": data, "path": path}


def parquet(data_dir: Path, repo: str, file: str, rows: list[dict[str, Any]]) -> Path:
    """Rows as a parquet file of D/owner/name/, as ``hf download --local-dir`` leaves it."""
    path = data_dir / repo / file
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def serve(monkeypatch: pytest.MonkeyPatch, folder: Path, commit: str = COMMIT) -> Mock:
    """A hub whose data sets lie in ``folder``; the mock says what was asked of it."""
    asked = Mock()
    build: Callable[..., Any] = datasets.load_dataset_builder

    def info(self: Any, repo: str, **_: Any) -> Any:
        asked.info(repo)
        return Mock(sha=commit)

    def builder(where: str, revision: str | None = None, **kwargs: Any) -> Any:
        asked.rows(where, revision)
        return build(str(folder / where) if revision else where, **kwargs)

    def download(repo: str, name: str, *, repo_type: str, revision: str, local_dir: Path) -> str:
        asked.file(repo, name, revision)
        source = folder / repo / name
        if not source.is_file():
            raise FileNotFoundError(f"404: {name}")
        target = Path(local_dir) / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(source.read_bytes())
        return str(target)

    monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", info)
    monkeypatch.setattr(datasets, "load_dataset_builder", builder)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    return asked


def unplug(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the hub unreachable."""

    def refuse(*_: Any, **__: Any) -> None:
        raise ConnectionError("no network")

    monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", refuse)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", refuse)
