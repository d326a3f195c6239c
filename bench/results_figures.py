"""The two figures of docs/results.md, as SVG; the same data give the same file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("svg")


def reliability(bins: Mapping[str, Sequence[tuple[float, int, float]]], path: Path) -> None:
    """Accuracy of labels over the vote's confidence; a bin is (middle, number of labels, accuracy in percent)."""
    with figure(path, "confidence of the vote", "label accuracy (%)") as axis:
        for name, found in bins.items():
            shown = [(middle, accuracy) for middle, n, accuracy in found if n]
            axis.plot([x for x, _ in shown], [y for _, y in shown], marker="o", label=name)
        axis.plot([0, 1], [0, 100], color="gray", linestyle=":", label="accuracy = confidence")


def curves(points: Mapping[str, Mapping[int, float]], levels: Mapping[str, float], path: Path) -> None:
    """Accuracy in percent over steps, and horizontal lines at ``levels``."""
    with figure(path, "step", "accuracy (%)") as axis:
        for name, found in points.items():
            axis.plot(list(found), list(found.values()), marker="o", label=name)
        for (name, level), style in zip(levels.items(), ("-.", "--"), strict=True):
            axis.axhline(level, color="gray", linestyle=style, label=name)


@contextmanager
def figure(path: Path, x: str, y: str) -> Iterator[Any]:
    """An axis whose figure is saved to ``path``."""
    import matplotlib.pyplot as plt

    matplotlib.rcParams["svg.hashsalt"] = "audio-eval"
    drawn, axis = plt.subplots(figsize=(6.4, 3.6))
    yield axis
    axis.set(xlabel=x, ylabel=y)
    axis.legend(loc="lower right", fontsize="small")
    drawn.tight_layout()
    drawn.savefig(path, metadata={"Date": None})
    plt.close(drawn)
