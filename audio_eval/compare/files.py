"""Write the page of two runs."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote

from audio_eval.clips import Clips, beside
from audio_eval.compare.difference import Difference
from audio_eval.compare.page import page
from audio_eval.compare.pair import Pair
from audio_eval.errors import UserError
from audio_eval.store import write_atomic

REPORT = "report.html"


def write_page(pair: Pair, found: Difference, path: Path) -> Path:
    """Write the page to ``path``, with links to the runs' reports and recordings as they lie on the disk."""
    folder = path.parent
    reports = [_report(side.folder, folder) for side in (pair.a, pair.b)]
    text = page(pair, found, Clips(link=beside(folder)), reports=reports)
    try:
        write_atomic(path, text.encode())
    except OSError as error:
        raise UserError(f"cannot write '{path}' ({error.strerror}): give another --output.") from None
    return path


def _report(run: Path, folder: Path) -> str | None:
    if not (run / REPORT).is_file():
        return None
    return quote(os.fsencode(Path(os.path.relpath(run / REPORT, folder)).as_posix()))
