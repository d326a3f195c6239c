"""What is fuzzed, by name."""

from __future__ import annotations

from tests.fuzz import json_files, recordings, responses, templates, yaml_files
from tests.fuzz.target import Target

TARGETS: dict[str, Target] = {
    **recordings.TARGETS, **responses.TARGETS, **yaml_files.TARGETS, **json_files.TARGETS, **templates.TARGETS
}  # fmt: skip
