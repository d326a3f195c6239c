"""Audio by reference: a path or bytes, which are decoded to a mono waveform only when a model needs it."""

from __future__ import annotations

import hashlib
import io
import os
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from audio_eval.edits import AudioEdit
from audio_eval.errors import UserError

if TYPE_CHECKING:
    import numpy as np

RATE = 16_000
# Limits that are checked in the header, before decoding: a few kilobytes of a compressed file can be days of silence.
MAX_SECONDS = 600
MAX_BYTES = 256 * 2**20

# Some programs round the size of a WAV's last chunk, so a smaller difference is not a truncation.
_SLACK_BYTES = 4096


class AudioError(UserError):
    """Audio that cannot be used: which, why, and what to do about it."""


@dataclass(frozen=True)
class AudioRef:
    """A recording: either a ``path`` or ``data`` (the bytes of an encoded file), and its sha256 if it is known.

    Loading fails if the bytes do not have this ``sha256``. ``edit`` is applied to the samples, for a view of the same
    recording.
    """

    path: str | None = None
    data: bytes | None = field(default=None, repr=False)
    sha256: str | None = None
    edit: AudioEdit | None = None

    def __post_init__(self) -> None:
        if (self.path is None) == (self.data is None):
            raise ValueError("AudioRef takes exactly one of path and data")

    @property
    def name(self) -> str:
        """Its name in messages: the path, or the number of bytes."""
        return self.path if self.path is not None else f"<{len(self.data or b'')} bytes of audio>"

    def read(self) -> bytes:
        """The bytes of the encoded file; ``AudioError`` if it cannot be read or is larger than ``MAX_BYTES``."""
        if self.data is not None:
            return self.data
        path = Path(self.path or "")
        try:
            if path.stat().st_size > MAX_BYTES:
                raise AudioError(f"{self.name}: the file is larger than {MAX_BYTES >> 20} MiB; cut it into clips.")
            return path.read_bytes()
        except FileNotFoundError:
            raise AudioError(
                f"{self.name}: no such file; put the benchmark's audio there, or see --data-dir."
            ) from None
        except OSError as error:
            raise AudioError(
                f"{self.name}: cannot be read ({error.strerror}); check the path and its rights."
            ) from None

    def edited(self, edit: AudioEdit) -> AudioRef:
        """The same recording with another edit. A silenced recording stays silent in every view."""
        silent = self.edit is not None and self.edit.gain == 0.0
        return replace(self, edit=replace(edit, gain=0.0) if silent else edit)

    def digest(self) -> str:
        """A fingerprint: sha256 of the bytes of the encoded file, in hex; with an edit, of both."""
        whole = self.sha256 or self._digest
        return whole if self.edit is None else hashlib.sha256(f"{whole} {self.edit}".encode()).hexdigest()

    @cached_property
    def _digest(self) -> str:
        return hashlib.sha256(self.read()).hexdigest()

    def load(self, rate: int = RATE) -> np.ndarray:
        """The whole recording as float32 mono at ``rate`` Hz, shape (samples,).

        The content tells the format, not the name. Channels are averaged, and another rate is resampled with soxr's HQ
        filter; the samples are those of ``librosa.load(path, sr=rate)``. Raises ``AudioError`` for a recording that is
        missing, corrupt, truncated, empty, not finite, or longer than ``MAX_SECONDS`` or ``MAX_BYTES``.
        """
        wave = self._at(rate)
        return wave if self.edit is None else self.edit.apply(wave, rate)

    def _at(self, rate: int) -> np.ndarray:
        data = self.read()
        if self.sha256 and hashlib.sha256(data).hexdigest() != self.sha256:
            raise AudioError(f"{self.name}: its sha256 is not {self.sha256[:12]}...; fetch the recording again.")
        if not data:
            raise AudioError(f"{self.name}: the file is empty; fetch it again.")
        samples, native = self._decode(data)
        if native == rate:
            return samples
        import librosa

        return librosa.resample(samples, orig_sr=native, target_sr=rate, res_type="soxr_hq")

    def _decode(self, data: bytes) -> tuple[np.ndarray, int]:
        """Mono float32 samples, shape (samples,), and their rate in Hz."""
        import numpy as np
        import soundfile

        if _missing_bytes(data) > _SLACK_BYTES:
            raise AudioError(f"{self.name}: the file ends before its audio does (truncated); fetch it again.")
        try:
            with soundfile.SoundFile(io.BytesIO(data)) as file:
                self._check_size(file.frames, file.samplerate, file.channels)
                frames, rate = file.frames, file.samplerate
                samples = file.read(dtype="float32", always_2d=True)
        except (soundfile.SoundFileError, RuntimeError) as error:
            reason = str(error).split(": ", 1)[-1].strip().rstrip(".")
            raise AudioError(f"{self.name}: not audio that can be decoded ({reason}); convert it to WAV.") from None
        if not len(samples):
            raise AudioError(f"{self.name}: it holds no samples; fetch it again or leave the item out.")
        if len(samples) < frames:
            raise AudioError(f"{self.name}: {len(samples)} of {frames} samples decode (truncated); fetch it again.")
        mono = samples[:, 0] if samples.shape[1] == 1 else samples.mean(axis=1)
        if not np.isfinite(mono).all():
            raise AudioError(f"{self.name}: it holds samples that are not numbers (NaN or infinity); export it again.")
        return np.ascontiguousarray(mono, dtype=np.float32), rate

    def _check_size(self, frames: int, rate: int, channels: int) -> None:
        if frames > MAX_SECONDS * rate:
            limit = f"{MAX_SECONDS} s"
        elif frames * channels * 4 > MAX_BYTES:
            limit = f"{MAX_BYTES >> 20} MiB decoded"
        else:
            return
        raise AudioError(f"{self.name}: longer than the limit of {limit} by its header; cut it into clips.")


def _missing_bytes(data: bytes) -> int:
    """By how many bytes a WAV is shorter than its header says; 0 for other formats and for an open length.

    libsndfile reads such a file without an error.
    """
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        return 0
    at = 12
    while at + 8 <= len(data):
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        if data[at : at + 4] == b"data":
            streamed = size >= 0x7FFFF000  # written by ffmpeg and sox into a pipe, where the size is not known yet
            return 0 if streamed else max(0, at + 8 + size - len(data))
        at += 8 + size + size % 2
    return 0


def resolve_under(root: Path, relative: str) -> Path:
    """``relative`` below ``root`` as an absolute path; ``AudioError`` if it leads out of ``root``.

    Links are not resolved: a data folder may link to another disk, but metadata may not point out of the folder.
    """
    top = os.path.abspath(root)
    joined = os.path.normpath(os.path.join(top, relative))
    if "\0" in relative or not joined.startswith(top.rstrip(os.sep) + os.sep):
        raise AudioError(f"audio path {relative!r} leads out of {root}; paths in the metadata must stay below it.")
    return Path(joined)
