"""docs/models.md: its table is what the checks return. ``python -m tests.models.families.page`` writes it anew."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.models.families.case import Case
from tests.models.families.cases import CASES
from tests.models.families.checks import CHECKS, Built

PAGE = Path(__file__).parents[3] / "docs" / "models.md"
FACTS = ("engine", "window", "transformers", "reference", "checkpoints")
COLUMNS = (*CHECKS, *FACTS)
BEGIN, END = (
    "<!-- families: tests/models/families/page.py writes the table between these marks -->",
    "<!-- /families -->",
)


def committed() -> dict[str, dict[str, str]]:
    """The cells of the page's table by family and column."""
    table = PAGE.read_text(encoding="utf-8").split(BEGIN)[1].split(END)[0]
    head, _, *rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in table.split("\n") if line.strip()
    ]
    return {row[0]: dict(zip(head, row, strict=True)) for row in rows}


def facts(built: Built) -> dict[str, str]:
    """What the family says of itself, and what it was compared with."""
    family = built.policy.checkpoint.family
    case = built.case
    told = (family.engine, f"{family.max_seconds:g} s", f"from {case.since}", case.reference, case.hub)
    return dict(zip(FACTS, told, strict=True))


def row(case: Case, folder: Path) -> dict[str, str]:
    """Build and check a family."""
    case.build(folder)
    built = Built(case, folder)
    return {name: check(built) for name, check in CHECKS.items()} | facts(built)


def write(names: list[str]) -> None:
    """Check the families of these names, all without any, and write their rows."""
    cells = committed()
    for case in CASES:
        if not names or case.name in names:
            with tempfile.TemporaryDirectory() as scratch:
                cells[case.name] = {"family": case.name, **row(case, Path(scratch) / "checkpoint")}
            print(case.name, cells[case.name])
    lines = [f"| {' | '.join(('family', *COLUMNS))} |", f"|{'---|' * (len(COLUMNS) + 1)}"]
    for case in CASES:
        if case.name in cells:
            cells[case.name] |= {
                "transformers": f"from {case.since}",
                "reference": case.reference,
                "checkpoints": case.hub,
            }
            lines.append(f"| {' | '.join((case.name, *(cells[case.name].get(column, '') for column in COLUMNS)))} |")
    before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n\n{chr(10).join(lines)}\n\n{END}{rest.split(END)[1]}", encoding="utf-8")


if __name__ == "__main__":
    write(sys.argv[1:])
