"""A real vLLM server: started by another process, asked and given weights over HTTP, and gone with its owner."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from safetensors.torch import load_file, save_file

from audio_eval.errors import UserError
from audio_eval.models.backends import Limits, load_policy
from audio_eval.models.policy import Policy, Sampling, Training
from audio_eval.models.split import SplitPolicy
from audio_eval.models.vllm.engine import DOUBLED
from audio_eval.models.vllm.server import VLLMServer
from audio_eval.questions import Question
from tests.models.checkpoints import question
from tests.models.training import advantages_of, settings
from tests.vllm.conftest import ARGS, needs_vllm
from tests.vllm.test_split import trainer_of

pytestmark = needs_vllm
ASKED = [question(1, 0.4), question(2, 1.3), question(3)]
LORA = settings("lora", lr=3e-2)
# loads the model behind a server of its own, says where, and does nothing until it is killed
OWNER = """
import json, sys, time
from audio_eval.models.backends import Limits, load_policy
from audio_eval.models.policy import Training
policy = load_policy(sys.argv[1], Limits(training=Training(lora_r=4)), "vllm", json.loads(sys.argv[2]))
print("server", policy._sampler._server.url, flush=True)
time.sleep(3600)
"""


@dataclass
class Served:
    folder: Path
    url: str
    owner: subprocess.Popen

    def policy(self, training: Training | None = None, **args: object) -> Policy:
        chosen = {"base_url": f"{self.url}/v1", "seed": False, **args}
        return load_policy(str(self.folder), Limits(max_tokens=12, training=training), "vllm", chosen)


@pytest.fixture(scope="module")
def served(folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served") / "flamingo"
    shutil.copytree(folders["flamingo"], folder)
    with_names_of_the_hub(folder)
    args = json.dumps({**ARGS, "server": True})
    owner = subprocess.Popen([sys.executable, "-c", OWNER, str(folder), args], stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    url = next((line.split()[1] for line in owner.stdout if line.startswith("server ")), None)
    assert url is not None, "it did not start"
    yield Served(folder, url, owner)
    owner.kill()


def with_names_of_the_hub(folder: Path) -> None:
    """transformers below 5.20 saves a name twice, which a server does not read: see ``engine.DOUBLED``."""
    for file in folder.glob("*.safetensors"):
        tensors = load_file(file)
        save_file({name.replace(*DOUBLED): tensor for name, tensor in tensors.items()}, file, {"format": "pt"})


def answers(policy: Policy) -> list[tuple[int, ...] | None]:
    return [group.completions[0].tokens for group in policy.generate(ASKED, Sampling())]


@pytest.mark.parametrize("merge", [False, True])
def test_weights_go_to_a_server_that_runs(served: Served, merge: bool) -> None:
    plain, policy = served.policy(), served.policy(LORA, merge=merge)
    assert (
        isinstance(policy, SplitPolicy)
        and "vLLM 0." in policy.info.device
        and plain.info.revision.startswith("server ")
    )
    alone = trainer_of(served.folder)
    unadapted = answers(policy)
    assert unadapted == answers(alone) and policy.trained_parameters == 0
    policy.begin_training(LORA, 5)
    for step in range(2):
        groups = policy.generate(ASKED, Sampling(n=6, temperature=0.7, max_tokens=6, stream=f"step{step}"))
        assert all(group.size == 6 and group.error is None for group in groups)
        found = policy.train_step(groups, advantages_of(groups)).metrics
    assert found["sync_arrived"] == pytest.approx(1, abs=1e-2) and found["sync_change"] > 1e-3
    assert answers(policy) == answers(policy._loaded) != unadapted  # type: ignore[arg-type]
    policy.reset()
    assert answers(policy) == unadapted


def test_what_it_cannot_do_is_one_line(served: Served) -> None:
    with pytest.raises(UserError, match=r"refuses /v1/load_lora_adapter \(404 .*--enable-lora"):
        served.policy(LORA)._sampler.take_adapter(served.folder / "nothing")  # type: ignore[attr-defined]
    with pytest.raises(UserError, match="--adapter goes with vLLM in this process"):
        load_policy(str(served.folder), None, "vllm", {"server": True}, str(served.folder))
    with pytest.raises(UserError, match="does not answer /v1/models"):
        load_policy(str(served.folder), None, "vllm", {"base_url": "http://127.0.0.1:9/v1"})


def test_it_is_gone_with_its_owner(served: Served) -> None:
    """The last test of it: its owner is killed, which leaves no time to clean up."""
    processes = psutil.Process(served.owner.pid).children(recursive=True)
    port = served.url.rsplit(":", 1)[1]
    assert any(port in process.cmdline() for process in processes) and len(processes) >= 4
    served.owner.kill()
    served.owner.wait(20)
    assert psutil.wait_procs(processes, timeout=60)[1] == []


@pytest.mark.parametrize("part", ["server", "engine"])
def test_one_of_our_own_that_is_killed_is_started_again(folders: dict[str, Path], tmp_path: Path, part: str) -> None:
    """In the middle of a call, with an adapter: the answers are those of the weights that train."""
    folder = tmp_path / "flamingo"
    shutil.copytree(folders["flamingo"], folder)
    with_names_of_the_hub(folder)
    policy = load_policy(str(folder), Limits(max_tokens=12, training=LORA), "vllm", {**ARGS, "server": True})
    assert isinstance(policy, SplitPolicy)
    sampler: Any = policy._sampler
    try:
        policy.begin_training(LORA, 5)
        groups = policy.generate(ASKED, Sampling(n=6, temperature=0.7, max_tokens=6, stream="step0"))
        policy.train_step(groups, advantages_of(groups))
        adapted = answers(policy)
        [victim] = psutil.Process(sampler._server._keeper.pid).children()
        if part == "engine":
            [victim] = [process for process in victim.children() if "EngineCore" in " ".join(process.cmdline())]
        written = sampler._messages

        def killing(question: Question) -> Any:
            if question.id == ASKED[1].id and victim.is_running():
                victim.kill()
            return written(question)

        sampler._messages = killing
        assert answers(policy) == adapted == answers(policy._loaded)  # type: ignore[arg-type]
        assert sampler.restarts == 1 and policy._compared_at == 1, "and both were compared anew"
    finally:
        sampler._server.stop()


def test_a_checkpoint_that_vllm_cannot_load_ends_the_start(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "no_such_model"}')
    with pytest.raises(UserError, match=r"the vLLM server ended \(.*no_such_model") as error:
        VLLMServer(str(tmp_path), [], 300)
    assert "\n" not in str(error.value)
