from __future__ import annotations

import os
import signal

# In a shell that ignores Ctrl-C (nohup, a job in the background of a script) the programs that tests interrupt would
# ignore it too.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Before torch is imported anywhere, here or in a process that a test starts: the bits of trained weights depend on the
# number of threads, and pytest's workers already fill the cores.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["COLUMNS"] = "120"  # tables and help texts are wrapped at the width of the terminal

import pytest
from hypothesis import settings

from audio_eval.threads import settle_threads

settle_threads()
settings.register_profile("shared-machine", deadline=None)  # how long an example takes is the machine's business
settings.load_profile("shared-machine")


@pytest.fixture(autouse=True, scope="session")
def no_sounds_in_pages_of_runs() -> None:
    """The page at the end of a run has no recordings: to encode them takes longer than most runs of the tests.

    Not by monkeypatch, which would then be undone after capsys, and put its closed streams back.
    """
    from audio_eval.report import write

    write.BUDGET_AT_END = 0
