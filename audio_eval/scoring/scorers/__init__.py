"""Scorers by name, and scorers of a user's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from audio_eval.errors import UserError, unknown
from audio_eval.plugins import from_reference, named, registered
from audio_eval.scoring.scorer import ScoredItem, Scorer
from audio_eval.scoring.scores import Score


def find_scorer(name: str, folder: Path | None = None, where: str = "") -> Scorer:
    """A registered scorer, or a user's own: "module:Class", where the module is a file of ``folder`` or importable.

    ``UserError`` where it cannot be found or is no scorer; ``where`` says in the message who names it.
    """
    asked = f"scoring '{name}'{where}"
    known = registered("scorers")
    if ":" not in name:
        if name not in known:
            raise unknown("scoring", name, known, where)
        return _made(named("scorers", "scoring", name), asked)
    scorer = _made(from_reference("scoring", name, folder, where), asked)
    for other in known:
        if named("scorers", "scoring", other).name == scorer.name:  # two scorers would share a label in results
            raise UserError(f"{asked} has the name of the scorer '{other}': give its class a name of its own.")
    return scorer


def try_scorer(scorer: Scorer, item: ScoredItem, asked: str) -> None:
    """Score one item; ``UserError`` that begins with ``asked`` where that fails."""
    try:
        score = scorer.score(item, item.answer)
        if not isinstance(score, Score):
            raise TypeError(f"score() gives {score!r}, which is no audio_eval.scoring.scores.Score")
        scorer.gold(item)
        scorer.figures([score])
    except Exception as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{asked} cannot score item '{item.id}': {type(error).__name__}: {reason}.") from error


def _made(found: Any, asked: str) -> Scorer:
    if not (isinstance(found, type) and issubclass(found, Scorer)):
        raise UserError(f"{asked} is no subclass of audio_eval.scoring.scorer.Scorer.")
    if not (isinstance(getattr(found, "name", None), str) and isinstance(found.version, str)):
        raise UserError(f"{asked} needs a name and a version: lines such as name = 'my_scorer', version = '1'.")
    try:
        return found()
    except Exception as error:
        raise UserError(f"{asked} cannot be made: {type(error).__name__}: {error}.") from error
