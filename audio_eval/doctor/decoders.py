"""Decoders: a tone in each format that benchmarks use is made in memory, and read back as a run would read it."""

from __future__ import annotations

import io
from collections.abc import Iterator

from audio_eval.doctor.finding import Finding

FORMATS = {"wav": "PCM_16", "flac": "PCM_16", "ogg": "VORBIS", "mp3": "MPEG_LAYER_III"}
RATE = 44_100
MOST = 0.05  # of the tone's energy may be lost, in a lossy format and by resampling


def decoders() -> Iterator[Finding]:
    """A line for each format. Only WAV is needed by the embedded benchmark."""
    import soundfile

    library = f"soundfile {soundfile.__version__}, libsndfile {soundfile.__libsndfile_version__}"
    for name in FORMATS:
        why = _wrong(name)
        if why is None:
            yield Finding(f"decoder {name}", "ok", library)
        else:
            mend = "python -m pip install --force-reinstall soundfile librosa: its wheels bring libsndfile 1.2"
            yield Finding(f"decoder {name}", "failed" if name == "wav" else "warning", f"{why} ({library})", mend)


def _wrong(name: str) -> str | None:
    """What is wrong with half a second of a tone that was encoded, decoded and resampled."""
    import numpy as np
    import soundfile

    from audio_eval.audio import RATE as HEARD
    from audio_eval.audio import AudioRef

    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(RATE // 2) / RATE)
    file = io.BytesIO()
    try:
        soundfile.write(file, tone, RATE, format=name.upper(), subtype=FORMATS[name])
        wave = AudioRef(data=file.getvalue()).load()
    except Exception as error:  # libsndfile raises errors of its own
        return " ".join(f"{type(error).__name__}: {error}".split())
    energy, seconds = float(np.mean(wave**2)), len(wave) / HEARD
    if abs(energy / float(np.mean(tone**2)) - 1) > MOST or abs(seconds - 0.5) > 0.05:
        return f"0.5 s of a tone are read back as {seconds:.2f} s at {energy:.3f} of its power"
    return None
