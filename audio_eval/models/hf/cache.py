"""A cache of encoded clips, bounded in bytes. The least recently used clip is evicted first."""

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

Key = tuple[str, str]  # sha256 of the recording's file, revision of the tower that encoded it


@dataclass
class EncodedClip:
    """An encoded clip: embeddings (tokens, hidden), seconds of the recording, and whether the model's window cut it."""

    embeds: torch.Tensor
    seconds: float
    truncated: bool


class ClipCache:
    """Clips by key, for a model on ``device``. ``bytes`` of embeddings are held, never more than ``max_bytes``.

    A clip takes 25 tokens per second: 10 s for a 2048-wide model in bfloat16 are 1 MB. ``place``: on the device, or in
    host memory (pinned for CUDA). Evicted clips are written to ``folder`` and read back; None: they are dropped.
    """

    def __init__(
        self, device: torch.device, max_bytes: int, place: Literal["device", "host"] = "device",
        folder: Path | None = None,
    ) -> None:  # fmt: skip
        self._device, self._max_bytes, self._place, self._folder = device, max_bytes, place, folder
        self._clips: OrderedDict[Key, EncodedClip] = OrderedDict()
        self._lock = threading.Lock()  # decoding threads ask for keys while the main thread puts clips in
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._clips)

    def __contains__(self, key: Key) -> bool:
        """Whether ``get`` is likely to find the clip. Whether its file is damaged shows only when it is read."""
        with self._lock:
            if key in self._clips:
                return True
        path = self._path(key)
        return path is not None and path.is_file()

    def get(self, key: Key) -> EncodedClip | None:
        """The clip on the model's device; None where it is not held or its file is damaged."""
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
        """Keep ``clip``. One that is larger than the bound is not kept in memory."""
        evicted: list[tuple[Key, EncodedClip]] = []
        size = clip.embeds.nbytes
        with self._lock:
            old = self._clips.pop(key, None)
            self.bytes -= old.embeds.nbytes if old else 0
            while self._clips and self.bytes + size > self._max_bytes:
                evicted.append(self._clips.popitem(last=False))
                self.bytes -= evicted[-1][1].embeds.nbytes
            if size <= self._max_bytes:
                self._clips[key] = EncodedClip(self._placed(clip.embeds), clip.seconds, clip.truncated)
                self.bytes += size
            else:
                evicted.append((key, clip))
        for pair in evicted:
            self._write(*pair)

    def _placed(self, embeds: torch.Tensor) -> torch.Tensor:
        """On the device, or in host memory that is pinned so that copying back does not block."""
        if self._place == "device":
            return embeds.to(self._device)
        host = embeds.to("cpu")
        return host.pin_memory() if self._device.type == "cuda" else host

    # --- the folder ------------------------------------------------------------------------------------------------

    def _path(self, key: Key) -> Path | None:
        """``<folder>/<tower>/<recording>.safetensors``; None without a folder, or where the tower is a run's own."""
        if self._folder is None or CHANGED in key[1]:
            return None
        tower = hashlib.sha256(key[1].encode()).hexdigest()[:16]
        return self._folder / tower / f"{key[0]}.safetensors"

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
