"""Effective counts: what a score interval may be given when items share recordings and seeds vary.

Rao and Scott (Biometrics 48, 1992): counts of clustered binary data, divided by the ratio of their variance to that of
as many independent items (the design effect), can be used like independent counts.
"""

from __future__ import annotations

from audio_eval.scoring.statistics.variance import Spread


def design_effect(spread: Spread, n: int, simple: float) -> float:
    """The variance of a mean of ``n`` items against ``simple``, that of one seed and independent items.

    Where hardly anything varies the ratio of two small numbers says little, so a quarter of an event is added to each:
    with no event at all the effect is that of items of one recording being all alike.
    """
    if not spread.estimated:
        return 1.0
    event = 0.25 / n**2
    return (spread.variance + spread.shared * event) / (simple + event)
