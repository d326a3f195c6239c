"""The main job in small: a run of the embedded model on an item of the embedded benchmark, to its table; and a step."""

from __future__ import annotations

from collections.abc import Iterator

from audio_eval.doctor.child import in_child
from audio_eval.doctor.finding import Finding

SECONDS = 300.0
_CODE = """
import tempfile, time
from pathlib import Path
from audio_eval.cli.main import main
def run(*flags):
    from audio_eval.runlog import RunLog
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        asked = ["--model", "tiny-omni", "--tasks", "synth_aqa:validation", "--limit", "1", "--output", folder]
        if code := main([*asked, *flags]):
            sys.exit(code)
        [log] = map(RunLog, Path(folder).iterdir())
        [answer] = log.responses.read()
        tell([answer.unreadable, answer.response, log.environment().device, time.monotonic() - begun])
run()
run("--method", "random_reward", "--method-args", "tune=lora,group_size=4,steps=1")
"""


def main_job() -> Iterator[Finding]:
    """Whether it runs, and whether a model can be trained; without the hub, as all it needs is in the package."""
    told = in_child(_CODE, SECONDS, HF_HUB_OFFLINE="1")
    error, answer, device, seconds = told.values[0] if told.values else (told.why, "", "", 0.0)
    if error or not answer:
        mend = "mend what fails below; where nothing does, report it with the versions in the last line"
        yield Finding("main job", "failed", error or "the embedded model answers nothing", mend)
    else:
        yield Finding("main job", "ok", f"tiny-omni answers an item of synth_aqa in {seconds:.0f} s ({device})")
        if len(told.values) == 2:
            yield Finding("training", "ok", f"a step of LoRA, and its answer, in {told.values[1][-1]:.0f} s ({device})")
        else:
            mend = "mend what is not ok below: peft, transformers and torch train"
            yield Finding("training", "warning", f"a model answers, but cannot be trained: {told.why}", mend)
