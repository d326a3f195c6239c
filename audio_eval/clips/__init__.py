"""Recordings in pages: a few megabytes of sound in the page itself, links beyond them, and a player with pictures.

    clips = Clips(link=beside(run))  # the sounds of one page; the first that are asked for are embedded
    heard = clips.heard(Hearing(log).of(sample))  # [{"label": "original", "ref": 0}, {"label": "heard: silence", ...}]
    PAGE = Page(..., scripts=("audio_eval.clips:player.js",), styles=("audio_eval.clips:player.css",), allow=ALLOW)
    PAGE.render(title, {"heard": heard, "sounds": clips.sounds})

and in the page's own script ``player(data.heard, data.sounds)`` is the element.
"""

from __future__ import annotations

from audio_eval.clips.encoding import encode
from audio_eval.clips.hearing import Heard, Hearing
from audio_eval.clips.sounds import ALLOW, BUDGET, Clips, beside, pictured, pictures

__all__ = ["ALLOW", "BUDGET", "Clips", "Heard", "Hearing", "beside", "encode", "pictured", "pictures"]
