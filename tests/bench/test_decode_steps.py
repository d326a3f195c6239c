"""What a token step costs the host does not grow."""

from __future__ import annotations

import pytest
from decode_steps import WAYS, measure

LAYERS = 4
# operations per layer and step, views included, and of them those that launch something
MOST = {
    "base": (107, 65), "adapters apart": (177, 93), "adapters merged": (107, 65), "merged, static shapes": (100, 46),
}  # fmt: skip


@pytest.fixture(scope="module")
def found() -> dict[str, dict[str, float]]:
    return measure(LAYERS, hidden=32, questions=4, samples=4, device="cpu", repeats=1)


@pytest.mark.parametrize("way", WAYS)
def test_operations_of_a_token_step(found: dict[str, dict[str, float]], way: str) -> None:
    operations, launched = MOST[way]
    besides = 60  # embedding, rotary angles, last norm, head, draws
    assert found[way]["operations"] <= LAYERS * operations + besides, found[way]
    assert found[way]["launched"] <= LAYERS * launched + besides, found[way]


def test_merged_adapters_cost_nothing(found: dict[str, dict[str, float]]) -> None:
    assert found["adapters merged"]["operations"] == found["base"]["operations"] < found["adapters apart"]["operations"]
