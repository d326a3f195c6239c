"""A server of run directories for tests, and a run with a recording."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import Any

import numpy as np
import soundfile

from audio_eval.runs.own import remember_folders
from audio_eval.view.server import listening, server
from audio_eval.view.site import Site
from tests.compare.runs import write_run


@contextmanager
def served(paths: Sequence[Path]) -> Iterator[str]:
    """The address of the first page, without its last slash."""
    with TemporaryDirectory() as folder, listening(0) as listener:
        running = server(Site(paths, Path(folder)).app("secret"))
        thread = Thread(target=running.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/secret"
        finally:
            running.should_exit = True
            thread.join()


def recorded_run(folder: Path, states: str, recording: Path, **changes: Any) -> Path:
    """A run whose items all ask about one recording, two seconds that are made where it is not there yet."""
    if not recording.exists():
        wave = 0.3 * np.sin(np.arange(2 * 44_100) / 30)
        soundfile.write(recording, np.stack([wave, wave / 2], axis=1), 44_100)
    remember_folders([str(recording)])  # as a run of these recordings does when it begins
    digest = sha256(recording.read_bytes()).hexdigest()
    heard = {place: {"audio": str(recording), "audio_sha256": digest} for place in range(len(states))}
    return write_run(folder, states, questions=heard, **changes)
