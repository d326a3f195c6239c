"""Finding: the result of a check, one line for a reader."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "warning", "failed"]  # failed: because of it the main job cannot run


@dataclass(frozen=True)
class Finding:
    """``detail`` is what was found; ``mend`` how to mend it, empty where nothing has to be."""

    check: str
    state: State
    detail: str
    mend: str = ""
