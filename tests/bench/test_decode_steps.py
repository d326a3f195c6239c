"""What a token step costs the host does not grow."""

from __future__ import annotations

import pytest
from decode_steps import WAYS, measure

LAYERS = 2
# operations per layer, and besides (embedding, rotary angles, last norm, head, draws); the same of those that launch
MOST = {
    "base": (107, 53, 64, 28),
    "adapters apart": (177, 53, 92, 28),
    "adapters merged": (107, 53, 64, 28),
    "merged, static shapes": (100, 68, 45, 35),
}


@pytest.fixture(scope="module")
def found() -> dict[str, dict[str, float]]:
    return measure(LAYERS, hidden=32, questions=4, samples=4, device="cpu", repeats=1)


@pytest.mark.parametrize("way", WAYS)
def test_operations_of_a_token_step(found: dict[str, dict[str, float]], way: str) -> None:
    each, besides, launched_each, launched_besides = MOST[way]
    assert found[way]["operations"] <= LAYERS * each + besides, found[way]
    assert found[way]["launched"] <= LAYERS * launched_each + launched_besides, found[way]


def test_merged_adapters_cost_nothing(found: dict[str, dict[str, float]]) -> None:
    assert found["adapters merged"]["operations"] == found["base"]["operations"] < found["adapters apart"]["operations"]
