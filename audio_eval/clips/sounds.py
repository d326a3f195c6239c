"""The sounds of one page: each stored once, embedded up to a size, linked beyond it."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from audio_eval.audio import RATE, AudioError, AudioRef
from audio_eval.clips.encoding import MEDIA_TYPE, Encoded, encode
from audio_eval.clips.hearing import Heard

BUDGET = 8 * 2**20  # bytes that the sounds of a page and their pictures add to it
ALLOW = {"media-src": "data: file:", "img-src": "data:"}  # for the policy of a page that is a file
# About what a second of sound takes, and the pictures of a clip, so that none is decoded in vain.
_PER_SECOND, _PICTURES = 6_500, 6_000

Link = Callable[[AudioRef], str | None]


class Clips:
    """``sounds`` is the page's table of sounds, and an item's clips refer to their places in it.

    Sounds are embedded in the order in which they are asked for until ``budget`` bytes are used up, so ask for those
    that matter most first. What does not fit is not decoded: it has the address that ``link`` gives, and from
    ``details`` that of its ``pictured`` JSON, which the player fetches where a server has one.
    """

    def __init__(self, budget: int = BUDGET, link: Link | None = None, details: Link | None = None) -> None:
        self.sounds: list[dict[str, Any]] = []
        self._left, self._link, self._details = budget, link, details
        self._places: dict[AudioRef, int] = {}

    def of(self, audio: AudioRef) -> dict[str, Any]:
        """``{"ref": place in sounds}``. A sound has ``src``, the address to play, or None and a ``note`` that says why;
        ``embedded``; and where it was decoded the fields of ``pictured``.
        """
        if audio not in self._places:
            self._places[audio] = len(self.sounds)
            self.sounds.append(self._sound(audio))
        return {"ref": self._places[audio]}

    def heard(self, clips: Iterable[Heard]) -> list[dict[str, Any]]:
        """What the player takes: each clip's ``label``, its ``ref`` unless nothing was heard, and its ``note``."""
        return [
            {"label": clip.label, "note": clip.note, **(self.of(clip.audio) if clip.audio else {})} for clip in clips
        ]

    def _sound(self, audio: AudioRef) -> dict[str, Any]:
        try:
            if self._fits(audio):
                encoded = encode(audio)
                sound = {"src": _data(MEDIA_TYPE, encoded.sound), "embedded": True, **pictures(encoded)}
                size = len(sound["src"]) + len(sound["mel"]) + len(sound["peaks"])
                if size <= self._left:
                    self._left -= size
                    return sound
        except AudioError as error:
            return {"src": None, "embedded": False, "note": _without_folder(str(error), audio)}
        address = self._link(audio) if self._link else None
        if address is None:
            return {"src": None, "embedded": False, "note": "not in this page, which embeds a limited size of sound"}
        details = self._details(audio) if self._details else None
        return {"src": address, "embedded": False, **({"details": details} if details else {})}

    def _fits(self, audio: AudioRef) -> bool:
        """Whether it is worth decoding; a file is not even read where nothing would fit."""
        left = self._left - _PICTURES
        return left > 0 and audio.length(RATE) / RATE * _PER_SECOND <= left


def pictured(audio: AudioRef) -> dict[str, Any]:
    """The length and the pictures of a sound: ``seconds``, ``peaks`` and ``level`` (see ``Encoded``), ``mel``.

    Of a recording that cannot be read there is only a ``note``.
    """
    try:
        return pictures(encode(audio))
    except AudioError as error:
        return {"note": _without_folder(str(error), audio)}


def beside(folder: Path) -> Link:
    """Links for a page in ``folder``: to recordings as they lie on the disk, relative to it, so that both may move.

    None for what is no whole file there, such as a part or an edited recording.
    """

    def link(audio: AudioRef) -> str | None:
        try:
            if audio.path is None or audio.edit or audio.part or not os.path.isfile(audio.path):
                return None
            return quote(os.fsencode(Path(os.path.relpath(audio.path, folder)).as_posix()))
        except ValueError:  # a path that no file can have; another drive
            return None

    return link


def pictures(encoded: Encoded) -> dict[str, Any]:
    """The fields of ``pictured``."""
    return {
        "seconds": round(encoded.seconds, 3),
        "peaks": encoded.outline,
        "level": float(f"{encoded.level:.3g}"),
        "mel": _data("image/png", encoded.mel),
    }


def _data(media_type: str, content: bytes) -> str:
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"


def _without_folder(message: str, audio: AudioRef) -> str:
    """A message that does not tell the readers of a page where its writer keeps files."""
    return message.replace(audio.path, os.path.basename(audio.path)) if audio.path else message
