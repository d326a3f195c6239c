"""Cut questions into batches by a budget of padded tokens."""

from __future__ import annotations

from collections.abc import Sequence


def cut_batches(lengths: Sequence[int], budget: int, most: int) -> list[list[int]]:
    """Batches of 1 to ``most`` indices, longest first, with ``longest * count`` within ``budget``.

    They depend on the arguments only, so that a resumed run makes the same batches.
    """
    batches: list[list[int]] = []
    for i in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        last = batches[-1] if batches else None
        if last and len(last) < most and lengths[last[0]] * (len(last) + 1) <= budget:
            last.append(i)
        else:
            batches.append([i])
    return batches
