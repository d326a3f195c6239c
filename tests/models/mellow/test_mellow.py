"""The mellow backend against a stand-in with the interface of the package's MellowWrapper, in a process of its own.

The last test takes the package itself, where MELLOW_PYTHON and MELLOW_FOLDER name it.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from audio_eval.audio import AudioRef
from audio_eval.errors import NotHere, UserError
from audio_eval.models.backends import Limits, choose
from audio_eval.models.mellow.process import MellowProcess
from audio_eval.models.policy import Policy, Sampling
from audio_eval.questions import Question
from tests.models.checkpoints import clip

STAND_IN = """
import pathlib

import soundfile

class _LM:
    def register_forward_hook(self, hook):
        self.hook = hook

class _Tokenizer:
    def encode(self, text):
        return text.split()

class MellowWrapper:
    def __init__(self, config, model, device, use_cuda):
        print("what the package prints is no answer")
        self.said = f"{config} {model} {device} {use_cuda}"
        self.model = type("Model", (), {})()
        self.model.caption_decoder = type("Decoder", (), {"lm": _LM()})()
        self.tokenizer = _Tokenizer()
        self.args = type("Args", (), {"data": {"text_tokenization_len": 129}})()

    def generate(self, examples, max_len, top_p, temperature):
        [[one, other, prompt]] = examples
        if prompt.startswith("die"):
            once = pathlib.Path(prompt.partition(" once ")[2] or "/")
            if not once.is_file():
                if once.name:
                    once.touch()
                raise SystemExit("the package's last words")
        for _ in range(1 if prompt == "end" else 3):
            self.model.caption_decoder.lm.hook()
        if prompt == "end":
            return list(3)  # a TypeError, as from the package's list() of a single token
        samples, rate = soundfile.read(one, dtype="float32", always_2d=True)
        return [f" {self.said} same={one == other} {samples.shape} {rate} {prompt} {max_len}"]
"""


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A hub cache with a file in the place of the weights, and beside it a checkout with the stand-in."""
    root = tmp_path_factory.mktemp("mellow")
    snapshot = root / "hub" / "models--soham97--mellow" / "snapshots" / ("0" * 40)
    snapshot.mkdir(parents=True)
    (snapshot / "v0.ckpt").write_bytes(b"weights")
    (snapshot.parents[1] / "refs").mkdir()
    (snapshot.parents[1] / "refs" / "main").write_text("0" * 40)
    (root / "checkout" / "mellow").mkdir(parents=True)
    (root / "checkout" / "mellow" / "__init__.py").write_text(STAND_IN)
    return root


@pytest.fixture
def settings(weights: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(weights / "hub"))
    monkeypatch.setattr("huggingface_hub.file_download.HF_HUB_CACHE", str(weights / "hub"), raising=False)
    return {"python": sys.executable, "folder": str(weights / "checkout"), "unpickle": True}


def policy(settings: dict[str, object], limits: Limits | None = None) -> Policy:
    return choose("mellow", None, settings).load(limits or Limits())


def asked(audio: AudioRef | None, prompt: str = "what?") -> Question:
    return Question("q", audio, prompt, (), prompt)


def test_a_recording_is_given_twice_as_the_model_wants_it(settings: dict[str, object]) -> None:
    model = policy(settings, Limits(max_tokens=7))
    [short, long, none] = model.generate([asked(clip(2.0)), asked(clip(12.0)), asked(None)], Sampling(n=3))
    assert short.best() == "v0 v0 cpu False same=True (64000, 1) 32000 what? 7"
    assert short.counts == (3,) and not short.truncated and short.completions[0].finished
    assert "(320000, 1)" in long.best() and long.truncated and long.audio_seconds == 10
    assert none.completions == () and none.error is not None and "recording" in none.error
    first, second, third = (clip(seconds, seed) for seed, seconds in enumerate((1.0, 11.0, 2.0)))
    [two, three] = model.generate(
        [asked(None).hearing([first, second]), asked(None).hearing([first, second, third])], Sampling()
    )
    assert "same=False" in two.best() and two.truncated and two.audio_seconds == 11
    assert three.error == "Mellow hears one recording or two; the question has 3."
    [cut] = model.generate([asked(clip(1.0))], Sampling(max_tokens=3, stop=("same",)))
    assert cut.best() == "v0 v0 cpu False" and cut.completions[0].finished
    [limited] = model.generate([asked(clip(1.0))], Sampling(max_tokens=3))
    assert not limited.completions[0].finished


def test_what_the_package_cannot_do_is_an_error_of_its_item_or_refused(settings: dict[str, object]) -> None:
    model = policy(settings, Limits(long_audio="skip"))
    broken, words = AudioRef(data=b"no audio"), " ".join(["word"] * 130)
    questions = [asked(clip(1.0), "end"), asked(clip(10.5)), asked(broken), asked(clip(1.0), words), asked(clip(1.0))]
    end, long, bad, wordy, well = model.generate(questions, Sampling())
    assert end.error is None and end.best() == "" and end.completions[0].finished
    assert long.error is not None and "10.5 s" in long.error and bad.error and not well.error
    assert wordy.error == "the prompt has 130 tokens, and Mellow reads 129: see --prompt"
    [endless] = model.generate([asked(clip(1.0), "x" * 12_001)], Sampling())
    assert endless.error is not None and "12001 bytes, more than 12000" in endless.error
    with pytest.raises(UserError, match="cannot be sampled from"):
        model.generate([asked(clip(1.0))], Sampling(temperature=0.7))


def test_a_process_that_dies_is_started_again_and_asked_again(settings: dict[str, object], tmp_path: Path) -> None:
    """Twice of the same question is that question's error; the others have their answers."""
    model = policy(settings)
    questions = [asked(clip(1.0), prompt) for prompt in ("one", f"die once {tmp_path}/died", "die", "two")]
    one, again, dead, two = model.generate(questions, Sampling())
    assert "one" in one.best() and "die once" in again.best() and "two" in two.best()
    assert dead.completions == () and dead.error is not None
    assert "the package's last words" in dead.error and dead.error.endswith("It died of this question twice")


def test_a_process_that_cannot_be_started_again_stops_the_run(
    settings: dict[str, object], weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = policy(settings)
    monkeypatch.setattr(MellowProcess, "_start", lambda self: (_ for _ in ()).throw(UserError("gone")))
    with pytest.raises(UserError, match="gone"):
        model.generate([asked(clip(1.0), "die")], Sampling())


def test_the_identity_is_of_weights_and_code(settings: dict[str, object], weights: Path) -> None:
    found = choose("mellow", None, settings).digests()
    assert set(found) == {"v0.ckpt", "package"}
    code = weights / "checkout" / "mellow" / "__init__.py"
    code.write_text(STAND_IN + "\n")
    assert choose("mellow", None, settings).digests()["package"] != found["package"]
    code.write_text(STAND_IN)
    with pytest.raises(NotHere):
        choose("mellow-v0_s", None, settings).digests()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"unpickle": False}, "unpickles its weights"),
        ({"folder": None}, "git clone"),
        ({"python": "/no/such/python"}, "git clone"),
    ],
)
def test_a_mistake_is_one_line(settings: dict[str, object], change: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        policy(settings | change)
    assert "\n" not in str(caught.value)


def test_a_python_without_the_package_is_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="No module named 'mellow'"):
        MellowProcess(sys.executable, str(tmp_path), "v0", "cpu")


def test_the_package_itself() -> None:
    python, folder = os.environ.get("MELLOW_PYTHON"), os.environ.get("MELLOW_FOLDER")
    if not (python and folder):
        pytest.skip("MELLOW_PYTHON and MELLOW_FOLDER name no installed Mellow: see docs/mellow.md")
    model = policy({"python": python, "folder": folder, "unpickle": True}, Limits(max_tokens=5))
    questions = [asked(clip(2.0)), asked(clip(12.0, 1)), asked(clip(2.0))]
    first, long, again = model.generate(questions, Sampling())
    assert first.error is None and first.best() and first.completions == again.completions
    assert long.truncated and long.best()
    assert model.generate([questions[1]], Sampling())[0].completions == long.completions, "no random crop"
