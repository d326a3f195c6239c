"""Encoded clips, kept up to a bound in bytes: the one that was used longest ago goes first."""

from __future__ import annotations

import hashlib
import json
import threading
import zlib
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from audio_eval.models.hf.tower import CHANGED
from audio_eval.store import write_atomic

Key = tuple[str, str]  # sha256 of the recording's file, revision of the tower that heard it


@dataclass
class EncodedClip:
    """An encoded clip: embeddings (tokens, hidden), seconds of the recording, and whether the model's window cut it."""

    embeds: torch.Tensor
    seconds: float
    truncated: bool


@dataclass(frozen=True)
class CacheSettings:
    """Where encoded clips are kept. A clip takes 25 tokens a second: 10 s of a 2048-wide model in bf16 are 1 MB."""

    max_bytes: int = 2 << 30
    place: Literal["device", "host"] = "device"  # host: pinned memory where the model is on CUDA
    folder: Path | None = None  # clips that must go are written here and read back; None: they are encoded again


class ClipCache:
    """Clips by key. ``bytes`` of embeddings are held and never more than the bound, not for a moment."""

    def __init__(self, settings: CacheSettings, device: torch.device) -> None:
        self._settings, self._device = settings, device
        self._clips: OrderedDict[Key, EncodedClip] = OrderedDict()
        self._lock = threading.Lock()  # decoding threads ask for keys while the main thread puts clips in
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._clips)

    def __contains__(self, key: Key) -> bool:
        """Whether ``get`` is likely to find the clip; a damaged file is found out when it is read."""
        with self._lock:
            if key in self._clips:
                return True
        path = self._path(key)
        return path is not None and path.is_file()

    def get(self, key: Key) -> EncodedClip | None:
        """The clip on the model's device, as the one used last; None where it is not held, or its file is damaged."""
        with self._lock:
            clip = self._clips.get(key)
            if clip is not None:
                self._clips.move_to_end(key)
        if clip is None:
            clip = self._read(key)
            if clip is None:
                return None
            self.put(key, clip)
        return EncodedClip(clip.embeds.to(self._device, non_blocking=True), clip.seconds, clip.truncated)

    def put(self, key: Key, clip: EncodedClip) -> None:
        """Keep ``clip``; a clip larger than the bound is not kept in memory."""
        evicted: list[tuple[Key, EncodedClip]] = []
        size = clip.embeds.nbytes
        with self._lock:
            old = self._clips.pop(key, None)
            self.bytes -= old.embeds.nbytes if old else 0
            while self._clips and self.bytes + size > self._settings.max_bytes:
                evicted.append(self._clips.popitem(last=False))
                self.bytes -= evicted[-1][1].embeds.nbytes
            if size <= self._settings.max_bytes:
                self._clips[key] = EncodedClip(self._placed(clip.embeds), clip.seconds, clip.truncated)
                self.bytes += size
            else:
                evicted.append((key, clip))
        for pair in evicted:
            self._write(*pair)

    def _placed(self, embeds: torch.Tensor) -> torch.Tensor:
        """On the device, or in host memory from which a copy does not block."""
        if self._settings.place == "device":
            return embeds.to(self._device)
        host = embeds.to("cpu")
        return host.pin_memory() if self._device.type == "cuda" else host

    # --- the folder ------------------------------------------------------------------------------------------------

    def _path(self, key: Key) -> Path | None:
        """``<folder>/<tower>/<recording>.safetensors``; None where there is no folder, or the tower is a run's own."""
        if self._settings.folder is None or CHANGED in key[1]:
            return None
        tower = hashlib.sha256(key[1].encode()).hexdigest()[:16]
        return self._settings.folder / tower / f"{key[0]}.safetensors"

    def _write(self, key: Key, clip: EncodedClip) -> None:
        path = self._path(key)
        if path is None or path.is_file():
            return
        tensor = clip.embeds.to("cpu").contiguous()
        facts = {"seconds": clip.seconds, "truncated": clip.truncated, "crc": _checksum(tensor)}
        write_atomic(path, lambda temporary: save_file({"embeds": tensor}, temporary, {"clip": json.dumps(facts)}))

    def _read(self, key: Key) -> EncodedClip | None:
        path = self._path(key)
        if path is None or not path.is_file():
            return None
        try:
            with safe_open(path, "pt") as file:
                facts: dict[str, Any] = json.loads(file.metadata()["clip"])
                tensor = file.get_tensor("embeds")
            if facts["crc"] == _checksum(tensor):
                return EncodedClip(tensor, float(facts["seconds"]), bool(facts["truncated"]))
        except (OSError, SafetensorError, ValueError, KeyError, TypeError):
            pass
        path.unlink(missing_ok=True)  # damaged: the clip is encoded again
        return None


def _checksum(tensor: torch.Tensor) -> int:
    return zlib.crc32(tensor.contiguous().view(torch.uint8).numpy().data)
