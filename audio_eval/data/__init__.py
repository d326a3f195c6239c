"""Reading benchmarks: one record schema, which official files and hub data sets are converted to."""

from __future__ import annotations

from audio_eval.data.files import Files, read_rows
from audio_eval.data.hub import HubRows
from audio_eval.data.hub_files import HubFiles
from audio_eval.data.letters import unlettered
from audio_eval.data.opened import opened
from audio_eval.data.records import FEATURES, ClipRef, Place, Record, SourceRow, record
from audio_eval.data.sources import (
    OFFICIAL,
    Convert,
    DataError,
    Loaded,
    OnRead,
    Provenance,
    Source,
    Sources,
    Unreachable,
)

__all__ = [
    "FEATURES",
    "OFFICIAL",
    "ClipRef",
    "Convert",
    "DataError",
    "Files",
    "HubFiles",
    "HubRows",
    "Loaded",
    "OnRead",
    "Place",
    "Provenance",
    "Record",
    "Source",
    "SourceRow",
    "Sources",
    "Unreachable",
    "opened",
    "read_rows",
    "record",
    "unlettered",
]
