"""What a run file may hold: every key with its type, checked before anything is made of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import ConfigDict, JsonValue, ValidationError, create_model

from audio_eval.errors import UserError, explain, unknown
from audio_eval.runlog import RunSpec
from audio_eval.runs.recipe import Recipe

# A text may list several, with commas; settings in a text are as on the command line.
_Names = str | list[str]
_Settings = str | dict[str, JsonValue]
_OTHERS: dict[str, Any] = {
    "model": str, "method": _Names, "tasks": _Names, "seed": int | str | list[int], "dtype": str | None,
    "method_args": _Settings, "model_args": _Settings,
}  # fmt: skip
# The other keys are RunSpec's fields, and what the file says about itself.
_DEFINITIONS: dict[str, Any] = {name: (kind, None) for name, kind in _OTHERS.items()} | {
    name: (field.annotation, field)
    for name, field in (RunSpec.model_fields | Recipe.model_fields).items()
    if name not in {"task", "prompt_source", *_OTHERS}
}
_RunFile = create_model("RunFile", __config__=ConfigDict(extra="forbid"), **_DEFINITIONS)


def check(path: Path, content: Any) -> dict[str, Any]:
    """What a run file holds, as it stands there; ``UserError`` names what is no key, or no value of its key."""
    if not isinstance(content, dict):
        raise UserError(f"run file '{path}' must map names to values, as in 'model: tiny-omni'.")
    for key in content:
        if key not in _RunFile.model_fields:
            raise unknown("key", str(key), _RunFile.model_fields, f" in run file '{path}'")
    try:
        _RunFile.model_validate(content)
    except ValidationError as error:
        raise UserError(f"run file '{path}': {explain(error)}") from None
    return content
