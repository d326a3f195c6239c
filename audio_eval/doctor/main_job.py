"""The main job in small: a run of the embedded model on an item of the embedded benchmark, to its table."""

from __future__ import annotations

from collections.abc import Iterator

from audio_eval.doctor.child import in_child
from audio_eval.doctor.finding import Finding

SECONDS = 300.0
_CODE = """
import tempfile, time
from pathlib import Path
from audio_eval.cli.main import main
begun = time.monotonic()
with tempfile.TemporaryDirectory() as folder:
    code = main(["--model", "tiny-omni", "--tasks", "synth_aqa:validation", "--limit", "1", "--output", folder])
    if code:
        sys.exit(code)
    from audio_eval.runlog import RunLog
    [run] = Path(folder).iterdir()
    [answer] = RunLog(run).responses.read()
    tell([answer.unreadable, answer.response, RunLog(run).environment().device, time.monotonic() - begun])
"""


def main_job() -> Iterator[Finding]:
    """Whether it runs; without the hub, as all that it needs is in the package."""
    told = in_child(_CODE, SECONDS, HF_HUB_OFFLINE="1")
    error, answer, device, seconds = told.values[0] if told.values else (told.why, "", "", 0.0)
    if error or not answer:
        mend = "mend what fails below; where nothing does, report it with the versions in the last line"
        yield Finding("main job", "failed", error or "the embedded model answers nothing", mend)
    else:
        yield Finding("main job", "ok", f"tiny-omni answers an item of synth_aqa in {seconds:.0f} s ({device})")
