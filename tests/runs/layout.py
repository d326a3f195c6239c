"""A small benchmark in MMAR's official layout, with recordings made here."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import soundfile

ITEMS = 6
BROKEN = "r1"  # in the first batch of two


def write_mmar(data_dir: Path, broken: bool = True) -> Path:
    """Six items with one-second tones; with ``broken`` one of the files is no audio."""
    (data_dir / "mmar" / "audio").mkdir(parents=True)
    asked = (  # in the words of the embedded model's training, so that it has something to say
        ("What is the tempo?", ["slow", "fast"]),
        ("How does the pitch move?", ["rising", "falling", "staying level"]),
        ("Which instrument is playing?", ["flute", "organ"]),
    )
    rows = []
    for i in range(ITEMS):
        tone = 0.3 * np.sin(2 * np.pi * (200 + 150 * i) * np.arange(16000) / 16000)
        soundfile.write(data_dir / "mmar" / "audio" / f"r{i}.wav", tone, 16000)
        rows.append({
            "id": f"r{i}", "audio_path": f"./audio/r{i}.wav", "question": asked[i % 3][0],
            "choices": asked[i % 3][1], "answer": asked[i % 3][1][i % 2], "modality": "music",
            "category": "Signal Layer", "sub-category": "Pitch",
        })  # fmt: skip
    if broken:
        (data_dir / "mmar" / "audio" / f"{BROKEN}.wav").write_bytes(b"RIFF, but no audio at all")
    (data_dir / "mmar" / "MMAR-meta.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return data_dir
