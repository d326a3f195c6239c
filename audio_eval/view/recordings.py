"""The recordings that pages name: an address for each, and the file that is played, made when it is first asked for."""

from __future__ import annotations

from collections import OrderedDict
from contextlib import suppress
from pathlib import Path
from threading import Lock, Thread
from typing import Any, NamedTuple

from audio_eval.audio import AudioError, AudioRef
from audio_eval.clips import encode, pictured, pictures

KEPT = 64  # files of recordings, of at most a few megabytes


class Played(NamedTuple):
    """A recording as a page plays it: an MP3 file, and what ``clips.pictured`` says of it.

    ``file`` is None where it cannot be read; the details say why.
    """

    file: Path | None
    details: dict[str, Any]


class Recordings:
    """A table of recordings by key. What a request names is looked up here and nowhere else.

    A recording is encoded from what it decodes to, with the digest that the run took of it: nothing that is no sound,
    or another file than the run had, is served. Files are kept in ``folder``, the last ``KEPT`` that were asked for.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[str, AudioRef] = {}
        self._played: OrderedDict[str, Played] = OrderedDict()
        self._lock = Lock()

    def key(self, audio: AudioRef) -> str | None:
        """The key of a recording, which is in the table from now on; None of one whose digest is not known."""
        if audio.sha256 is None:
            return None
        key = audio.digest()[:24]
        first = not self._known
        self._known.setdefault(key, audio)
        if first:  # made at once: what it takes is slow to load, and the reader is still looking at the page
            Thread(target=self._begin, args=(key,), daemon=True).start()
        return key

    def _begin(self, key: str) -> None:
        with suppress(OSError):  # the server has ended, and its folder is gone
            self.played(key)

    def played(self, key: str) -> Played | None:
        """The file and the details; None for a key that is not in the table."""
        if (audio := self._known.get(key)) is None:
            return None
        with self._lock:  # a page asks for both at once
            if key not in self._played:
                made = self._made(key, audio)
                if made.file is None:  # it may be there later
                    return made
                self._played[key] = made
                if len(self._played) > KEPT:
                    oldest, _ = self._played.popitem(last=False)
                    self._file(oldest).unlink(missing_ok=True)
            self._played.move_to_end(key)
            return self._played[key]

    def _made(self, key: str, audio: AudioRef) -> Played:
        try:
            encoded = encode(audio)
        except AudioError:
            return Played(None, pictured(audio))
        self._file(key).write_bytes(encoded.sound)
        return Played(self._file(key), pictures(encoded))

    def _file(self, key: str) -> Path:
        return self._folder / f"{key}.mp3"
