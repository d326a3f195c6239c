"""One target in one process: ``python -m tests.fuzz.child TARGET KEEP SECONDS SEED``.

An error that is none of a user's is written down once for each place in which it is raised, and the search goes on. An
input that takes longer than ``SLOW`` seconds or more than ``MOST_MIB`` ends the process: libFuzzer writes it down.
"""

from __future__ import annotations

import os
import sys
import tempfile
import traceback
from pathlib import Path

SLOW = 15
MOST_MIB = 3_000  # of the process; a recording may take 256 MiB as a file, and as much decoded
ROOT = Path(__file__).parents[2]


def place_of(error: BaseException) -> str:
    """The kind of an error, and the innermost function of ours that it came through: one finding each."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if str(ROOT) in frame.filename]
    ours = [frame for frame in frames if "/tests/" not in frame.filename and "/.venv/" not in frame.filename]
    last = (ours or frames)[-1]
    return f"{type(error).__name__}-{Path(last.filename).stem}-{last.name.strip('<>')}"


def record(findings: Path, data: bytes, error: BaseException) -> None:
    """Write the input down with its traceback, unless one like it is; a smaller input takes its place."""
    stem = place_of(error)
    kept = findings / f"{stem}.bin"
    if not kept.exists() or len(data) < kept.stat().st_size:
        kept.write_bytes(data)
        (findings / f"{stem}.txt").write_text("".join(traceback.format_exception(error)), errors="backslashreplace")


def main(name: str, keep: Path, seconds: int, seed: int) -> None:
    import atheris

    from tests.fuzz.targets import TARGETS

    target, findings = TARGETS[name], keep / "findings" / name
    with atheris.instrument_imports(include=list(target.instrumented)):
        known = [data for data in target.seeds() if len(data) <= target.longest]
        for data in (*known[::9], *known[-2:]):  # imports all that it needs, and compiles what is compiled once
            one(target.call, data, findings)

    def call(data: bytes) -> None:
        one(target.call, data, findings)

    corpus, seeds = keep / "corpus" / name, keep / "seeds" / name
    options = [
        f"-max_total_time={seconds}", f"-timeout={SLOW}", f"-rss_limit_mb={MOST_MIB}", f"-max_len={target.longest}",
        f"-artifact_prefix={findings}/native-", f"-seed={seed}", "-len_control=20", f"-report_slow_units={SLOW}",
        f"-dict={keep}/{name}.words",
    ]  # fmt: skip
    os.chdir(tempfile.mkdtemp(prefix="fuzz-"))  # what an input names must not be found here
    atheris.Setup([name, *options, str(corpus), str(seeds)], call)
    atheris.Fuzz()


def one(call, data: bytes, findings: Path) -> None:
    try:
        call(data)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:
        record(findings, data, error)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]).absolute(), int(sys.argv[3]), int(sys.argv[4]))
