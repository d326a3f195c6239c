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
from audio_eval.report.write import FILE
from audio_eval.store import write_output


def write_page(pair: Pair, found: Difference, path: Path, budget: int) -> Path:
    """Write the page to ``path``: ``budget`` bytes of sounds in it, links to the others and to the runs' reports.

    ``UserError`` where that cannot be written.
    """
    folder = path.parent
    reports = [_report(side.folder, folder) for side in (pair.a, pair.b)]
    text = page(pair, found, Clips(budget, link=beside(folder)), reports=reports)
    try:
        write_output(path, text.encode())
    except OSError as error:
        raise UserError(f"cannot write '{path}' ({error.strerror}): give another --output.") from None
    return path


def _report(run: Path, folder: Path) -> str | None:
    if not (run / FILE).is_file():
        return None
    return quote(os.fsencode(Path(os.path.relpath(run / FILE, folder)).as_posix()))
