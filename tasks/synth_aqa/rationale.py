"""A chain of thought for a training item, written from the facts of its scene. It names the answer."""

from __future__ import annotations

from .items import Item
from .questions import KINDS


def rationale(item: Item) -> dict[str, str]:
    """Planning, caption, reasoning and summary, in few words: the embedded model answers in 64 tokens by default.

    The caption has the wording of the captions that the embedded model was trained on.
    """
    facts, asked = item.scene.facts, item.kind.replace("_", " ")
    return {
        "planning": asked,
        "caption": ", ".join(f"{kind.replace('_', ' ')} {facts[kind]}" for kind in KINDS if kind in facts),
        "reasoning": f"{asked} {item.answer}",
        "summary": item.answer,
    }
