"""Recordings that go away or are replaced while a run goes on: nothing counts as wrong, or is heard in their place."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from audio_eval.errors import UserError
from audio_eval.methods.aqa_ttrl import AqaTtrl
from audio_eval.models.hf.policy import HFPolicy
from audio_eval.runlog import RunLog
from audio_eval.runs.execute import Executor, _Curve
from tests.runs.conftest import make_spec
from tests.runs.layout import ITEMS, write_mmar
from tests.runs.test_damage import figures, files

PLACES = {
    "votes": (HFPolicy, "generate"), "steps": (HFPolicy, "train_step"), "answers": (AqaTtrl, "predict"),
    "curve": (_Curve, "_score"),
}  # fmt: skip


def vanish(audio: Path) -> None:
    audio.rename(audio.with_name("away"))


def replaced(audio: Path) -> None:
    """Other recordings of the same names and lengths."""
    shutil.copytree(audio, audio.with_name("away"))
    for number, path in enumerate(sorted(audio.iterdir())):
        soundfile.write(path, np.random.default_rng(number).normal(0, 0.1, 16_000), 16_000)


def linked(audio: Path) -> None:
    """Links that lead out of the data's folder, to other recordings."""
    replaced(audio)
    private = audio.parents[2] / "private"
    audio.rename(private)
    audio.mkdir()
    for path in private.iterdir():
        (audio / path.name).symlink_to(path)


@pytest.mark.parametrize(
    ("happens", "at"), [*((vanish, at) for at in PLACES), *((replaced, at) for at in PLACES), (linked, "answers")]
)
def test_data_that_vanish_count_nothing_as_wrong(
    happens: Callable[[Path], None], at: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = write_mmar(tmp_path / "data", broken=False)
    audio = data / "mmar" / "audio"
    spec = make_spec(
        "aqa_ttrl", "votes=4,steps=2,tune=lora,batch_size=2", tasks="mmar", data_dir=str(data), limit=None,
        batch_size=2, max_errors="100%", model_args="cache_gb=0", curve_every=int(at == "curve"),
    )  # fmt: skip
    Executor().run(spec, tmp_path / "whole")
    executor, calls = Executor(), 0

    def disturbed(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == 2:
                happens(audio)
            return real(*args, **kwargs)

        return call

    with monkeypatch.context() as patch:
        patch.setattr(*PLACES[at], disturbed(getattr(*PLACES[at])))
        with pytest.raises(UserError, match=r"could be read when this began|became unreadable|no such file"):
            executor.run(spec, tmp_path / "x")
    assert not (tmp_path / "x" / "result.json").exists()
    assert not any(record.unreadable for record in RunLog(tmp_path / "x").responses.read())
    shutil.rmtree(audio, ignore_errors=True)
    audio.with_name("away").rename(audio)
    executor.run(spec, tmp_path / "x")
    assert files(tmp_path / "x") == files(tmp_path / "whole") and figures(tmp_path / "x") == figures(tmp_path / "whole")
    assert figures(tmp_path / "x")["n"] == ITEMS and "unreadable" not in figures(tmp_path / "x")["notes"]
