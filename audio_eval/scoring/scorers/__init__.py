"""Scorers by name, and scorers of a user's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from audio_eval.errors import UserError, unknown
from audio_eval.plugins import from_reference, named, registered
from audio_eval.scoring.score import Score
from audio_eval.scoring.scorer import ScoredItem, Scorer


def find_scorer(name: str, folder: Path | None = None, where: str = "") -> Scorer:
    """A registered scorer, or a user's own: "module:Class", where the module is a file of ``folder`` or importable.

    It is tried on one item. ``UserError`` where it cannot be found or cannot score; ``where`` says in the message who
    names it.
    """
    if ":" not in name:
        if name not in registered("scorers"):
            raise unknown("scoring", name, registered("scorers"), where)
        return _checked(named("scorers", "scoring", name), f"scoring '{name}'{where}")
    asked = f"scoring '{name}'{where}"
    scorer = _checked(from_reference("scoring", name, folder, where), asked)
    for other in registered("scorers"):
        if named("scorers", "scoring", other).name == scorer.name:  # two scorers would share a label in results
            raise UserError(f"{asked} has the name of the scorer '{other}': give its class a name of its own.")
    return scorer


def _checked(found: Any, asked: str) -> Scorer:
    if not (isinstance(found, type) and issubclass(found, Scorer)):
        raise UserError(f"{asked} is no subclass of audio_eval.scoring.scorer.Scorer.")
    if not (isinstance(getattr(found, "name", None), str) and isinstance(found.version, str)):
        raise UserError(f"{asked} needs a name and a version: lines such as name = 'my_scorer', version = '1'.")
    item = ScoredItem("probe", "What is it?", "a dog", ("a dog", "a cat"), ("a dog", "a cat"))
    try:
        scorer = found()
        score = scorer.score(item, "a dog")
        scorer.gold(item)
        scorer.figures([score])
    except Exception as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{asked} cannot score an item: {type(error).__name__}: {reason}.") from error
    if not isinstance(score, Score):
        raise UserError(f"{asked} gives {score!r}, which is no audio_eval.scoring.score.Score.")
    return scorer
