"""Audio by reference: a path or bytes, which are decoded to a mono waveform only when a model needs it."""

from __future__ import annotations

import errno
import hashlib
import io
import math
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property, reduce
from pathlib import Path
from typing import TYPE_CHECKING

from audio_eval.edits import AudioEdit
from audio_eval.errors import UserError
from audio_eval.formats import CHECKED, Part, Unsound, parts
from audio_eval.regular import read_regular

if TYPE_CHECKING:
    import numpy as np
    from soundfile import SoundFile

RATE = 16_000
# Limits that are checked in the header, before decoding: a few kilobytes of a compressed file can be days of silence.
MAX_SECONDS = 600
MAX_BYTES = 256 * 2**20
# The largest sample that is audio: a program that stores integers of 32 bits as floats, unscaled, writes no larger one.
MAX_SAMPLE = 2.0**31
# Hz. Another rate is a damaged header, by which a recording would be a click, or hours long.
RATES = range(1_000, 1_000_001)


class AudioError(UserError):
    """Audio that cannot be used: which, why, and what to do about it."""


@dataclass(frozen=True)
class Sound:
    """A decoded recording: mono float32 ``samples``, shape (n,), at ``rate`` Hz, and what the file was."""

    samples: np.ndarray
    rate: int
    channels: int
    format: str
    subtype: str


@dataclass(frozen=True)
class AudioRef:
    """A recording: either a ``path`` or ``data`` (the bytes of an encoded file), and its sha256 if it is known.

    Loading fails if the bytes do not have this ``sha256``. ``edit`` is applied to the samples, for a view of the same
    recording. Of ``part``, (start, stop) in seconds, only what is between is heard.
    """

    path: str | None = None
    data: bytes | None = field(default=None, repr=False)
    sha256: str | None = None
    edit: AudioEdit | None = None
    part: tuple[float, float] | None = None

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
        try:
            return read_regular(self.path or "", MAX_BYTES)
        except FileNotFoundError:
            raise AudioError(
                f"{self.name}: no such file; put the benchmark's audio there, or see --data-dir."
            ) from None
        except (OSError, ValueError) as error:  # ValueError: a name that no file can have, such as one with a NUL
            reason = getattr(error, "strerror", None) or error
            mend = (
                "cut it into clips" if getattr(error, "errno", None) == errno.EFBIG else "check the path and its rights"
            )
            raise AudioError(f"{self.name}: cannot be read ({reason}); {mend}.") from None

    def verified(self) -> bytes:
        """``read``; ``AudioError`` too where the bytes are not those of ``sha256``, or of when ``digest`` was asked.

        A file that is replaced while a run goes on must not be heard as the one that the run is of.
        """
        data = self.read()
        if self._told and hashlib.sha256(data).hexdigest() != self._told:
            raise AudioError(f"{self.name}: its sha256 is not {self._told[:12]}...; fetch the recording again.")
        return data

    @property
    def _told(self) -> str | None:
        """The sha256 that the bytes must have, as far as it is known."""
        return self.sha256 or vars(self).get("_digest")

    def edited(self, edit: AudioEdit) -> AudioRef:
        """The same recording with another edit. A silenced recording stays silent in every view."""
        silent = self.edit is not None and self.edit.gain == 0.0
        return replace(self, sha256=self._told, edit=replace(edit, gain=0.0) if silent else edit)

    def digest(self) -> str:
        """A fingerprint: sha256 of the bytes of the encoded file, in hex; with an edit or a part, of all of these."""
        whole = self.sha256 or self._digest
        changes = [str(change) for change in (self.edit, self.part) if change is not None]
        return hashlib.sha256(" ".join([whole, *changes]).encode()).hexdigest() if changes else whole

    def parts(self, seconds: float) -> list[AudioRef]:
        """Consecutive parts of at most ``seconds``; itself if no longer. Raises ``AudioError`` as ``length`` does."""
        length = self.length(RATE) / RATE
        if length <= seconds:
            return [self]
        count = math.ceil(length / seconds)
        whole = replace(self, sha256=self._told)
        return [replace(whole, part=(i * seconds, min((i + 1) * seconds, length))) for i in range(count)]

    @cached_property
    def _digest(self) -> str:
        return hashlib.sha256(self.read()).hexdigest()

    def load(self, rate: int = RATE) -> np.ndarray:
        """The whole recording as float32 mono at ``rate`` Hz, shape (samples,).

        The content tells the format, not the name. Channels are averaged, and another rate is resampled with soxr's HQ
        filter; the samples are those of ``librosa.load(path, sr=rate)``. Raises ``AudioError`` for a recording that is
        missing, corrupt, truncated, empty, not finite, or longer than ``MAX_SECONDS`` or ``MAX_BYTES``: it is whole or
        refused.
        """
        sound = self.decode()
        with self._refusals():
            wave = _resample(sound.samples, sound.rate, rate)
        if self.edit is not None:
            wave = self.edit.apply(wave, rate)
        return wave if self.part is None else wave[slice(*self._cut(rate))]

    def decode(self) -> Sound:
        """The whole recording at its own rate, without ``edit``. Raises ``AudioError`` as ``load`` does."""
        import numpy as np

        data = self.verified()
        with self._refusals():
            first, *others = links = parts(data, MAX_SECONDS)
            if not others:
                return _decode(first)
            _together(links)  # before anything is decoded
            sounds = [_decode(link) for link in links]
            return replace(sounds[0], samples=np.concatenate([sound.samples for sound in sounds]))

    def length(self, rate: int = RATE) -> int:
        """The number of samples that ``load(rate)`` returns, found without decoding.

        Raises ``AudioError`` for what is known not to load by the structure of the file. What decoding alone can tell,
        such as the damaged middle of a file, is not known here.
        """
        samples, native = self._extent
        # in librosa's own arithmetic
        whole = samples if native == rate else math.ceil(samples * (float(rate) / native))
        return len(range(whole)[slice(*self._cut(rate))]) if self.part else whole

    def _cut(self, rate: int) -> tuple[int, int]:
        """The samples at which ``part`` starts and stops."""
        start, stop = self.part or (0.0, 0.0)
        return round(start * rate), round(stop * rate)

    @cached_property
    def _extent(self) -> tuple[int, int]:
        """Samples per channel, and their rate in Hz. Every draw asks for it, and it takes a read of the whole file."""
        data = self.read()
        with self._refusals():
            return _together(parts(data, MAX_SECONDS))

    @contextmanager
    def _refusals(self) -> Iterator[None]:
        """Name the recording in every error. Decoders raise errors of many classes, and one bad item ends no run."""
        try:
            yield
        except AudioError:
            raise
        except Unsound as error:
            raise AudioError(f"{self.name}: {error}.") from None
        except Exception as error:
            reason = " ".join(str(error).split(": ", 1)[-1].split()).rstrip(".") or type(error).__name__
            raise AudioError(f"{self.name}: not audio that can be decoded ({reason}); convert it to WAV.") from None


def _decode(part: Part) -> Sound:
    """Mono samples of one recording; ``Unsound`` where they are not those that its header declares."""
    import numpy as np

    with _opened(part) as file:
        frames = part.samples or file.frames
        samples = file.read(frames, dtype="float32", always_2d=True)  # a format without seeking must be told how many
        sound = Sound(samples, file.samplerate, file.channels, file.format, file.subtype)
    if len(samples) < frames:
        raise Unsound(f"{len(samples)} of {frames} samples decode (truncated); fetch it again")
    if not frames:
        raise Unsound("it holds no samples; fetch it again or leave the item out")
    if not -MAX_SAMPLE <= samples.min() <= samples.max() <= MAX_SAMPLE:  # nor of NaN
        raise Unsound("it holds samples that are not numbers or far beyond any level (NaN, 1e38); export it again")
    mono = reduce(np.add, samples.T) / np.float32(samples.shape[1])  # the bits of samples.mean(axis=1), in a quarter
    return replace(sound, samples=np.ascontiguousarray(mono))


def _opened(part: Part) -> SoundFile:
    """The recording as libsndfile opens it; ``Unsound`` where it is too long, or nothing says how long it must be."""
    import soundfile

    if not part.data:
        raise Unsound("the file is empty; fetch it again")
    file = soundfile.SoundFile(_File(part.data))
    if file.format not in CHECKED:
        raise Unsound(f"nothing in a {file.format} file says whether it is whole; convert it to WAV")
    if file.samplerate not in RATES:
        raise Unsound(f"its header declares {file.samplerate} samples per second; export it again")
    frames = part.samples or file.frames
    if frames > MAX_SECONDS * file.samplerate:
        raise Unsound(f"longer than the limit of {MAX_SECONDS} s by its header; cut it into clips")
    if frames * file.channels * 4 > MAX_BYTES:
        raise Unsound(f"longer than the limit of {MAX_BYTES >> 20} MiB decoded by its header; cut it into clips")
    return file


class _File(io.BytesIO):
    """Bytes for libsndfile. A seek to before the beginning, which damaged files ask for, goes to the beginning.

    An error could not be raised through libsndfile: it would be printed with a traceback.
    """

    def seek(self, offset: int, whence: int = 0) -> int:
        try:
            return super().seek(offset, whence)
        except (ValueError, OverflowError):
            return super().seek(0)


def _together(links: Iterable[Part]) -> tuple[int, int]:
    """Samples per channel of all links of a chain, and their rate in Hz; ``Unsound`` where they cannot be joined."""
    total, rates = 0, set()
    for link in links:
        with _opened(link) as file:
            total += link.samples or file.frames
            rates.add(file.samplerate)
        if len(rates) > 1:
            raise Unsound("a chain of recordings of several sample rates; convert it to WAV")
        if total > MAX_SECONDS * max(rates):
            raise Unsound(f"longer than the limit of {MAX_SECONDS} s; cut it into clips")
    return total, max(rates)


def _resample(samples: np.ndarray, native: int, rate: int) -> np.ndarray:
    if native == rate:
        return samples
    import librosa

    return librosa.resample(samples, orig_sr=native, target_sr=rate, res_type="soxr_hq")


def resolve_under(root: Path, relative: str) -> Path:
    """``relative`` below ``root`` as an absolute path; ``AudioError`` if it leads out of ``root``.

    Links are followed: data of a stranger may bring one that leads anywhere. ``root`` itself may be a link, and links
    may lead into the folders of ``audio_dirs``.
    """
    top = os.path.abspath(root)
    joined = os.path.normpath(os.path.join(top, relative))
    if "\0" in relative or not _is_below(joined, top):
        raise AudioError(f"audio path {relative!r} leads out of {root}; paths in the metadata must stay below it.")
    try:
        real = os.path.realpath(joined)
    except ValueError:
        raise AudioError(f"audio path {relative!r} is no name that a file can have.") from None
    if not any(_is_below(real, os.path.realpath(folder)) for folder in (top, *audio_dirs())):
        raise AudioError(
            f"audio path {relative!r} leads out of {root} by a link, to {real}: put the recordings there, or, if the "
            f"link is yours, allow its folder: AUDIO_EVAL_AUDIO_DIRS={os.path.dirname(real)}."
        )
    return Path(joined)


def audio_dirs() -> list[str]:
    """The folders of ``AUDIO_EVAL_AUDIO_DIRS`` (separated as in PATH), where the user keeps further recordings."""
    return [folder for folder in os.environ.get("AUDIO_EVAL_AUDIO_DIRS", "").split(os.pathsep) if folder]


def _is_below(path: str, folder: str) -> bool:
    return path.startswith(folder.rstrip(os.sep) + os.sep)
