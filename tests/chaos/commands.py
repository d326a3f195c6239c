"""Other commands that write, killed at what they do on the disk and on a disk that is full; then given once more."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.cases import Case, Chaos, Operation, bad_end, keep_if, run_of
from tests.chaos.child import Child, full_from, kill_at
from tests.chaos.same import difference

CHECKSUM = rb'"checksum": [^,}\n]*'


def differing_files(found: Path, whole: Path) -> str | None:
    """Files of two folders that differ otherwise than in the names of these, and in checksums of such names."""
    ours, theirs = (
        {str(path.relative_to(folder)): re.sub(CHECKSUM, b"", path.read_bytes().replace(str(folder).encode(), b""))
         for path in folder.rglob("*") if path.is_file() and path.name != ".lock"}
        for folder in (found, whole)
    )  # fmt: skip
    names = sorted(name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name))
    return f"differing files: {names}" if names else None


@dataclass(frozen=True)
class Command:
    """``argv`` and ``prepare`` are given the folder of a case; ``compare`` that and the one that was left alone."""

    argv: Callable[[Path], list[str]]
    prepare: Callable[[Path], object] = lambda folder: None
    compare: Callable[[Path, Path], str | None] = differing_files
    done_before: str = "nothing"  # what it may say, with code 1, where the killed one had done all


class Commands:
    """Each command left alone once, and cases made from that."""

    def __init__(self, chaos: Chaos) -> None:
        self.chaos, self.commands = chaos, _commands(chaos)
        self.whole: dict[str, Path] = {}
        self.operations: dict[str, list[Operation]] = {}
        for name, command in self.commands.items():
            folder = self.whole[name] = chaos.work / f"whole-{name}"
            folder.mkdir()
            command.prepare(folder)
            self.operations[name] = chaos.left_alone(
                lambda before, c=command, f=folder: Child(c.argv(f), chaos.said, before), folder
            )

    def kill_points(self) -> Iterator[tuple[str, Case]]:
        """A kill at each kind of operation of each command."""
        found = []
        for name, operations in self.operations.items():
            kinds = {_kind(o, self.whole[name]): (name, o) for o in filter(Operation.durable, operations)}
            found += kinds.values()
        self.chaos.random.shuffle(found)
        for name, operation in found:
            fraction = self.chaos.random.random()
            yield f"{name} {operation}, fraction {fraction:.2f}", lambda c=name, n=operation.number, f=fraction: (
                self._disturbed(c, lambda folder: kill_at(folder, n, f), (-9,)))  # fmt: skip

    def full_disks(self) -> Iterator[tuple[str, Case]]:
        """A disk that is full from an operation on."""
        for name, operations in self.operations.items():
            number = self.chaos.random.randrange(len(operations))
            yield f"{name} full from operation {number}", lambda c=name, n=number: (
                self._disturbed(c, lambda folder: full_from(folder, n), (0, 1)))  # fmt: skip

    def _disturbed(self, name: str, before: Callable[[Path], Callable[[], None]], codes: tuple[int, ...]) -> str | None:
        folder, command = self.chaos.place(), self.commands[name]
        folder.mkdir()
        command.prepare(folder)
        ended = Child(command.argv(folder), self.chaos.said, before(folder)).wait()
        if ended.code not in codes or (wrong := bad_end(ended)):
            return f"it ended with {ended.code}: {ended.said[-300:]}"
        again = Child(command.argv(folder), self.chaos.said).wait()
        if again.code and command.done_before not in again.said:
            wrong = f"given once more, it ended with {again.code}: {again.said[-300:]}"
        return keep_if(wrong or bad_end(again) or command.compare(folder, self.whole[name]), folder)


def _kind(operation: Operation, root: Path) -> tuple[str, ...]:
    """Operations on files of one suffix in one folder are of a kind: a leaderboard has many."""
    event, name = operation.kind(root)
    return event, os.path.dirname(name), "".join(Path(name).suffixes)


def _same_run(found: Path, whole: Path) -> str | None:
    return difference(run_of(found), run_of(whole))


def _commands(chaos: Chaos) -> dict[str, Command]:
    """By name; what they read is made here."""
    runs = {name: str(run) for name, run in chaos.whole.items()}
    given = chaos.work / "given"
    given.mkdir()
    archive, responses, interrupted = given / "run.zip", given / "responses.jsonl", given / "interrupted"
    chaos.left_alone(lambda before: Child(["export", runs["aqa_ttrl"], "-o", str(archive)], chaos.said, before), given)
    rows = [json.loads(line) for line in (chaos.whole["direct"] / "responses.jsonl").read_text().splitlines()]
    responses.write_text("".join(json.dumps({key: row[key] for key in ("id", "response")}) + "\n" for row in rows))
    # in the middle of the last checkpoint
    middle = [o.number for o in chaos.operations["aqa_ttrl"] if "/step-000002" in o.path][3]
    chaos.run("aqa_ttrl", interrupted, kill_at(interrupted, middle, 0.5)).wait()

    def copied(run: Path) -> Callable[[Path], object]:
        return lambda folder: shutil.copytree(run, folder / run.name)

    return {
        "resume": Command(
            lambda folder: ["resume", str(run_of(folder))], copied(run_of(interrupted)),
            lambda found, whole: difference(run_of(found), chaos.whole["aqa_ttrl"]),
        ),
        "score": Command(
            lambda folder: ["score", "synth_aqa:validation", "--responses", str(responses), "-o", str(folder)],
            compare=_same_run,
        ),
        "export zip": Command(lambda folder: ["export", runs["aqa_ttrl"], "-o", str(folder / "x.zip")]),
        "export json": Command(lambda folder: ["export", runs["aqa_ttrl"], "-o", str(folder / "x.json")]),
        "import": Command(
            lambda folder: ["import", str(archive), "--into", str(folder)], done_before="was imported before"
        ),
        "leaderboard": Command(lambda folder: ["leaderboard", *runs.values(), "-o", str(folder / "tables")]),
        "leaderboard kept": Command(lambda folder: ["leaderboard", *runs.values(), "--add-to", str(folder / "kept")]),
        "report": Command(
            lambda folder: ["report", str(run_of(folder)), "--embed", "0"], copied(chaos.whole["aqa_ttrl"])
        ),
        "compare": Command(
            lambda folder: ["compare", runs["direct"], runs["aqa_ttrl"], "--embed", "0", "-o", str(folder / "x.html")]
        ),
    }  # fmt: skip
