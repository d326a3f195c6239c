"""Every family: each check passes, and docs/models.md says what it has verified."""

from __future__ import annotations

import pytest

from tests.models.families.cases import CASES
from tests.models.families.checks import CHECKS, Built
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


def test_facts(built: Built) -> None:
    row = committed()[built.case.name]
    assert facts(built) == {column: row[column] for column in FACTS}


def test_the_page_has_every_family_and_no_other() -> None:
    page = committed()
    assert list(page) == [case.name for case in CASES]
    assert all(list(row) == ["family", *COLUMNS] for row in page.values())
