"""Every family: each check passes, and docs/models.md says what it has verified."""

from __future__ import annotations

import re

import pytest

from tests.models.families.cases import CASES
from tests.models.families.checks import CHECKS, Built
from tests.models.families.decoding import same_answers_merged, same_hidden_states
from tests.models.families.page import COLUMNS, FACTS, committed, facts


@pytest.fixture(scope="module", params=CASES, ids=lambda case: case.name)
def built(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Built:
    if absent := request.param.absent():
        pytest.skip(absent)
    folder = tmp_path_factory.mktemp("family") / "checkpoint"
    request.param.build(folder)
    return Built(request.param, folder)


@pytest.mark.parametrize("check", CHECKS)
def test_family(built: Built, check: str) -> None:
    assert CHECKS[check](built) == committed()[built.case.name][check], "python -m tests.models.families.page writes it"


def test_nothing_that_only_images_reach_is_read(built: Built, tensors_read: list[str]) -> None:
    """Gemma 3n alone needs a table of its vision part: for the ids of text that are in it."""
    built.fresh()
    of_images = [name for name in tensors_read if re.search(r"visual\.|vision|image|video", name)]
    assert tensors_read and all(name.startswith("model.embed_vision.") for name in of_images), of_images
    assert not of_images or built.case.name == "Gemma 3n"


def test_facts(built: Built) -> None:
    row = committed()[built.case.name]
    assert facts(built) == {column: row[column] for column in FACTS}


def test_the_page_has_every_family_and_no_other() -> None:
    page = committed()
    assert list(page) == [case.name for case in CASES]
    assert all(list(row) == ["family", *COLUMNS] for row in page.values())


def test_steps_of_static_shapes(built: Built) -> None:
    """As CUDA graphs need them; a family that has none says why."""
    if built.policy.checkpoint.family.engine == "plain":
        assert "repeats its prompts" in str(built.policy.decoding.without_graphs)
        return
    same_hidden_states(built.policy)


def test_adapters_merged_for_sampling(built: Built) -> None:
    same_answers_merged(built)
