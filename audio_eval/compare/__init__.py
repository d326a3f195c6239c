"""Two runs on the same items: what differs, whether it is shown, and what became of each item."""

from __future__ import annotations
