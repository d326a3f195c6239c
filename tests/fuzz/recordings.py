"""Recordings: our reading of the structure of a file is watched, libsndfile behind it is not."""

from __future__ import annotations

from collections.abc import Iterator

from tests.fuzz.target import Target, read


def recording(data: bytes) -> None:
    """``AudioRef``: what is heard is as long as was said before, and made of numbers."""
    import numpy as np

    from audio_eval.audio import AudioRef

    audio = AudioRef(data=data)
    length, wave = read(audio.length), read(audio.load)
    if wave is not None:
        assert wave.dtype == np.float32 and np.isfinite(wave).all()
        assert len(wave) == length, f"{len(wave)} samples, and {length} were foretold"
        read(lambda: AudioRef(data=data, part=(0.0, 0.01)).load())


def _recordings() -> Iterator[bytes]:
    from tests.bad_input.recordings import FRAME, _damaged, _others
    from tests.formats.recordings import CODED, DECLARING, encode, noise

    for name in (*DECLARING, *CODED):
        whole = encode(noise(0.03), name)
        yield whole
        yield from _damaged(whole).values()
    yield FRAME * 5
    yield encode(noise(0.03).repeat(2).reshape(-1, 2))
    yield from _others().values()
    yield encode(noise(0.03, rate=8_000), "WAV", 8_000)


TARGETS = {
    "recording": Target(recording, _recordings, ("RIFF", "WAVE", "fmt ", "data", "fLaC", "OggS", "ID3"), longest=8192)
}
