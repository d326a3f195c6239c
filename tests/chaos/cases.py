"""Cases made from small runs that were left alone: each disturbs one, and says what went wrong."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from tests.chaos.child import Child, Ended, full_from, kill_at, largest_file, record
from tests.chaos.damage import DAMAGE
from tests.chaos.same import difference
from tests.runs.layout import write_mmar

_STEPS = "steps=2,batch_size=2,lr=0.001"
_TRAIN = f"{_STEPS},tune=lora"
# The runs that are left alone, by name: a method, and what tells it from others of the method; their further flags.
METHODS: dict[str, list[str]] = {
    "direct": [],
    "choice_likelihood": ["--method-args", "prior=pride,prior_share=1"],
    "majority_vote": ["--method-args", "votes=3"],
    "aqa_ttrl": ["--method-args", f"votes=3,{_TRAIN}", "--curve-every", "2"],
    "sft": ["--method-args", "votes=3,epochs=1,batch_size=4,lr=0.001,tune=lora"],
    "aqa_ttrl-relabels": ["--method-args", f"votes=3,relabel=every_step,{_TRAIN}"],
    "ttrl-full": ["--method-args", f"votes=3,group_size=2,{_STEPS},tune=full"],
    "view_ttrl": ["--method-args", f"votes=4,group_size=4,answer_views=2,{_TRAIN}"],
    "op_ttrl": ["--method-args", f"votes=4,{_TRAIN}", "--tasks", "synth_aqa_open:validation"],
    "grpo": ["--method-args", f"group_size=4,{_TRAIN}", "--train-task", "synth_aqa:train", "--train-limit", "4"],
}
PROGRESS = ("    ", "[")  # how its lines begin
REFUSED = ("spec.json", "identity.json")  # nothing else says what was run, and what it was made of
Case = Callable[[], str | None]  # what went wrong, or None


class Skipped(Exception):
    """Why a case cannot be done on this machine."""


class Operation(NamedTuple):
    """What a command does on the disk, in the order of its doing."""

    number: int
    event: str
    path: str

    def durable(self) -> bool:
        """Whether the disk is another one after it: opening a file and making a folder are so once they are synced, and
        a temporary file that is removed is there no more, as it was renamed.
        """
        return self.event not in ("open", "os.mkdir") and not (self.event == "os.remove" and self.path.endswith(".tmp"))

    def kind(self, root: Path) -> tuple[str, str]:
        """The event and the name below ``root``, without numbers: those of processes and of steps."""
        name = re.sub(r"\d+|(?<=import-)\w+", "#", os.path.relpath(self.path, root))
        return self.event, name

    def __str__(self) -> str:
        return f"{self.event} {Path(self.path).name} (operation {self.number})"


class Chaos:
    """The runs that are left alone, and cases made from them."""

    def __init__(self, work: Path, seed: int) -> None:
        self.work, self.random, self.seconds, self._made = work, random.Random(seed), {}, 0
        self.worker = 0
        self.data = write_mmar(work / "data", broken=False)
        self.operations: dict[str, list[Operation]] = {}
        self.whole = {method: self._alone(method) for method in METHODS}
        self.vanishing = self._alone("aqa_ttrl", mmar=True)

    def _alone(self, method: str, mmar: bool = False) -> Path:
        folder = self.work / f"whole-{method}{'-mmar' if mmar else ''}"
        began = time.monotonic()
        found = self.left_alone(lambda before: self.run(method, folder, before, mmar), folder)
        self.seconds[folder] = time.monotonic() - began
        if not mmar:
            self.operations[method] = found
        return run_of(folder)

    def left_alone(self, begin: Callable[[Callable[[], None]], Child], folder: Path) -> list[Operation]:
        """What a command that nothing disturbs does below ``folder``."""
        operations = self.work / "operations.jsonl"
        operations.unlink(missing_ok=True)
        ended = begin(record(folder, operations)).wait()
        if ended.code or bad_end(ended):
            raise SystemExit(f"a command that was left alone ended with {ended.code}: {ended.said}")
        return [Operation(n, *json.loads(line)) for n, line in enumerate(operations.read_text().splitlines())]

    def run(self, method: str, folder: Path, before: Callable[[], None] | None = None, mmar: bool = False) -> Child:
        flags = ["--tasks", "mmar", "--data-dir", str(self.data), "--model-args", "cache_gb=0"] if mmar else [
            "--tasks", "synth_aqa:validation", "--limit", "4"]  # fmt: skip
        flags += ["--method", method.partition("-")[0], *METHODS[method]]
        argv = ["--model", "tiny-omni", *flags, "--batch-size", "2", "--output", str(folder)]
        return Child(argv, self.said, before)

    @property
    def said(self) -> Path:
        """What a case of this worker says on stderr."""
        return self.work / f"said-{self.worker}"

    def place(self) -> Path:
        self._made += 1
        return self.work / f"case-{self.worker}-{self._made}"

    def again(self, folder: Path, method: str, whole: Path, mmar: bool = False) -> str | None:
        """Go on with a run that was disturbed: by ``resume``, or the same command where nothing was there yet."""
        run = run_of(folder)
        if (run / "spec.json").is_file():
            ended = Child(["resume", str(run)], self.said).wait()
        else:
            ended = self.run(method, folder, mmar=mmar).wait()
        if ended.code:
            return f"resumed, it ended with {ended.code}: {ended.said[-300:]}"
        return bad_end(ended) or difference(run_of(folder), whole)

    def _disturbed(
        self, method: str, before: Callable[[Path], Callable[[], None]], codes: tuple[int, ...]
    ) -> str | None:
        folder = self.place()
        ended = self.run(method, folder, before(folder)).wait()
        if ended.code not in codes:
            return f"it ended with {ended.code}: {ended.said[-300:]}"
        wrong = bad_end(ended) or self.again(folder, method, self.whole[method])
        return keep_if(wrong, folder)

    def kill_points(self) -> Iterator[tuple[str, Case]]:
        """A kill at each operation that a whole run makes on the disk; of further methods at those of a new kind."""
        found, known = [], set[tuple[str, str]]()
        for method in sorted(METHODS, key=lambda name: name != "aqa_ttrl"):
            for operation in filter(Operation.durable, self.operations[method]):
                kind = operation.kind(self.whole[method])
                if method == "aqa_ttrl" or kind not in known:
                    found.append((method, operation))
                known.add(kind)
        self.random.shuffle(found)
        for method, operation in found:
            fraction = self.random.random()
            yield f"{method} {operation}, fraction {fraction:.2f}", lambda m=method, n=operation.number, f=fraction: (
                self._disturbed(m, lambda folder: kill_at(folder, n, f), (-9,)))  # fmt: skip

    def full_disks(self) -> Iterator[tuple[str, Case]]:
        """A disk that is full from an operation on, and files that may not grow beyond a size."""
        largest = max(path.stat().st_size for path in self.whole["aqa_ttrl"].rglob("*") if path.is_file())
        for _ in range(12):
            number = self.random.randrange(len(self.operations["aqa_ttrl"]))
            yield f"full from operation {number}", lambda n=number: (
                self._disturbed("aqa_ttrl", lambda folder: full_from(folder, n), (0, 1)))  # fmt: skip
            size = int(largest ** self.random.random())
            yield f"files up to {size} bytes", lambda s=size: (
                self._disturbed("aqa_ttrl", lambda folder: largest_file(s), (0, 1)))  # fmt: skip

    def random_kills(self) -> Iterator[tuple[str, Case]]:
        """A kill at any time of any method."""
        for _ in range(3):
            for method, whole in self.whole.items():
                after = self.random.random() * self.seconds[whole.parent]
                yield f"{method} after {after:.2f} s", lambda m=method, a=after: self._killed(m, a)

    def _killed(self, method: str, after: float) -> str | None:
        folder = self.place()
        child = self.run(method, folder)
        if child.sleep(after):
            child.kill()
        ended = child.wait()
        if ended.code not in (0, -9):
            return f"it ended with {ended.code}: {ended.said[-300:]}"
        return keep_if(bad_end(ended) or self.again(folder, method, self.whole[method]), folder)

    def damaged_files(self) -> Iterator[tuple[str, Case]]:
        """Each file of a run directory, damaged in each way, of a run that has ended and of one that has not."""
        whole = self.whole["aqa_ttrl"]
        names = sorted(str(path.relative_to(whole)) for path in whole.rglob("*") if path.is_file())
        cases = [(n, d, e) for n in names if n != ".lock" for d in DAMAGE for e in (True, False)
                 if e or n != "result.json"]  # fmt: skip
        self.random.shuffle(cases)
        for name, damage, finished in cases:
            state = "finished" if finished else "unfinished"
            yield f"{name} {damage} ({state})", lambda n=name, d=damage, e=finished: (
                self._damaged(n, d, e))  # fmt: skip

    def _damaged(self, name: str, damage: str, finished: bool) -> str | None:
        whole, folder = self.whole["aqa_ttrl"], self.place()
        run = folder / whole.name
        shutil.copytree(whole, run)
        if not finished:
            (run / "result.json").unlink()
        data = (run / name).read_bytes()
        if not data:
            return None
        changed = DAMAGE[damage](data)
        (run / name).unlink() if changed is None else (run / name).write_bytes(changed)
        ended = Child(["resume", str(run)], self.said).wait()
        if ended.code not in (0, 1, 2):
            return keep_if(f"it ended with {ended.code}: {ended.said[-300:]}", folder)
        wrong = bad_end(ended)
        if not ended.code:
            wrong = wrong or difference(run, whole)
        elif name not in REFUSED:
            wrong = wrong or f"it was not mended: {ended.said[-300:]}"
        return keep_if(wrong, folder)

    def two_owners(self) -> Iterator[tuple[str, Case]]:
        """The same command twice at once."""
        for number in range(6):
            pause = self.random.random() * self.seconds[self.whole["aqa_ttrl"].parent]
            yield f"pair {number}, {pause:.2f} s apart", lambda p=pause: self._both(p)

    def _both(self, pause: float) -> str | None:
        folder = self.place()
        first = self.run("aqa_ttrl", folder)
        first.sleep(pause)
        second = Child(["resume", str(run_of(folder))], self.work / f"said-second-{self.worker}")
        ends = [second.wait(), first.wait()]
        if any(ended.code not in (0, 1) for ended in ends) or ends[1].code:
            return f"they ended with {[ended.code for ended in ends]}: {[ended.said[-200:] for ended in ends]}"
        wrong = bad_end(ends[0]) or bad_end(ends[1]) or difference(run_of(folder), self.whole["aqa_ttrl"])
        return keep_if(wrong, folder)

    def vanishing_data(self) -> Iterator[tuple[str, Case]]:
        """The recordings go away in the middle, and come back before the run is resumed."""
        for _ in range(6):
            after = self.random.random() * self.seconds[self.vanishing.parent]
            yield f"after {after:.2f} s", lambda a=after: self._vanished(a)

    def _vanished(self, after: float) -> str | None:
        folder, away = self.place(), self.work / "away"
        child = self.run("aqa_ttrl", folder, mmar=True)
        child.sleep(after)
        self.data.rename(away)
        ended = child.wait()
        away.rename(self.data)
        if ended.code not in (0, 1, 2):
            return f"it ended with {ended.code}: {ended.said[-300:]}"
        return keep_if(bad_end(ended) or self.again(folder, "aqa_ttrl", self.vanishing, mmar=True), folder)

    def same_again(self) -> Iterator[tuple[str, Case]]:
        """The same command on the same machine: the same bytes."""
        for method in METHODS:
            yield method, lambda m=method: self._disturbed(m, lambda folder: lambda: None, (0,))


def run_of(folder: Path) -> Path:
    """The one run directory below ``folder``; a name that is not there where there is none yet."""
    found = [path for path in folder.glob("*") if path.is_dir()]
    return found[0] if len(found) == 1 else folder / "none"


def bad_end(ended: Ended) -> str | None:
    """A traceback, or a refusal that is not one line beside the progress."""
    if "Traceback" in ended.said:
        return f"a traceback: {ended.said[-600:]}"
    said = [line for line in ended.said.splitlines() if line.strip() and not line.startswith(PROGRESS)]
    if ended.code > 0 and (len(said) != 1 or not said[0].startswith("audio-eval: error: ")):
        return f"it ended with {ended.code}, and said not one line: {ended.said[-600:]}"
    return None


def keep_if(wrong: str | None, folder: Path) -> str | None:
    """Folders of cases that went well are removed."""
    if wrong is None:
        shutil.rmtree(folder, ignore_errors=True)
    return wrong
