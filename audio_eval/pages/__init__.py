"""HTML pages that are one file each: what every page of this package is made with."""

from __future__ import annotations

from audio_eval.pages.page import Page, island

__all__ = ["Page", "island"]
