"""lm-eval with our models registered, a text model with the weights of an audio model, and text tasks."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import lm_eval.tasks
import pytest
from lm_eval import simple_evaluate
from lm_eval.api.registry import get_model
from lm_eval.tasks import TaskManager
from transformers import Qwen2ForCausalLM

from audio_eval.lm_eval.models import PolicyLM, register
from audio_eval.task_index import TASKS_DIR
from tests.models.checkpoints import build_qwen2_audio
from tests.runs.layout import write_mmar

register()

# A space at the end of a context, none, several choices of one token, a context of another language, special tokens.
ROWS = [
    {"question": "Which sound is heard first? ", "choices": ["a dog", "a bell", "a"], "answer": 1, "text": "A dog."},
    {"question": "How many times", "choices": [" does", " the", " dog barks twice"], "answer": 0, "text": "dog bark"},
    {"question": "Où est\nle chien ?", "choices": ["là", "ici\n"], "answer": 1, "text": "là, <|im_end|> ici"},
    {"question": "user: Which?", "choices": ["first", "assistant", "system"], "answer": 2, "text": "x " * 40},
]
DATA = """
import json
from pathlib import Path
from datasets import Dataset

def build(**_):
    rows = [json.loads(line) for line in (Path(__file__).parent / "rows.jsonl").read_text().splitlines()]
    return {"test": Dataset.from_list(rows)}
"""
COMMON = "custom_dataset: !function data.build\ntest_split: test\ndoc_to_text: '{{question}}'\n"
METRIC = "  - {metric: NAME, aggregation: mean, higher_is_better: true}\n"
TASKS = {
    "words_choice": (
        "output_type: multiple_choice\ndoc_to_choice: choices\ndoc_to_target: answer\ntarget_delimiter: ' '\n"
        "metric_list:\n" + "".join(METRIC.replace("NAME", name) for name in ("acc", "acc_norm", "acc_mutual_info"))
    ),
    "words_next": "output_type: loglikelihood\ndoc_to_target: '{{choices[0]}}'\nmetric_list:\n"
    + METRIC.replace("NAME", "acc"),
    "words_whole": "output_type: loglikelihood_rolling\ndoc_to_target: text\n"
    "metric_list:\n  - {metric: word_perplexity, aggregation: weighted_perplexity, higher_is_better: false}\n",
    "words_until": "output_type: generate_until\ndoc_to_target: '{{choices[0]}}'\n"
    "generation_kwargs: {until: ['2', '5', ' the'], max_gen_toks: 12, do_sample: false}\nmetric_list:\n"
    + METRIC.replace("NAME", "exact_match"),
    "words_free": "output_type: generate_until\ndoc_to_target: '{{choices[0]}}'\n"
    "generation_kwargs: {until: [], max_gen_toks: 5, do_sample: false}\nmetric_list:\n"
    + METRIC.replace("NAME", "exact_match"),
}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """lm-eval's report of the machine runs pip and other programs, which takes longer than an evaluation here, and its
    log would go to the terminal of the first test."""
    for name in ("evaluator.add_env_info", "evaluator.get_git_commit_hash", "utils.setup_logging"):
        monkeypatch.setattr(f"lm_eval.{name}", lambda *_: "")


@pytest.fixture(scope="session")
def text_tasks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of text tasks: one of each kind that lm-eval has, in the same words."""
    folder = tmp_path_factory.mktemp("text_tasks")
    (folder / "rows.jsonl").write_text("\n".join(map(json.dumps, ROWS)))
    (folder / "data.py").write_text(DATA)
    for name, own in TASKS.items():
        (folder / f"{name}.yaml").write_text(f"task: {name}\n{COMMON}{own}")
    return folder


@pytest.fixture(scope="session")
def audio_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Qwen2-Audio checkpoint."""
    folder = tmp_path_factory.mktemp("audio") / "qwen2_audio"
    build_qwen2_audio(folder)
    return folder


@pytest.fixture(scope="session")
def ours(audio_folder: Path) -> PolicyLM:
    """It as a model of lm-eval."""
    return model("hf", pretrained=str(audio_folder), batch_size=2)


@pytest.fixture(scope="session")
def text_folder(ours: PolicyLM, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its language model as a text model, for lm-eval's own hf model."""
    folder = tmp_path_factory.mktemp("text")
    checkpoint = ours.policy.checkpoint  # type: ignore[attr-defined]
    text = Qwen2ForCausalLM(checkpoint.language_model.config)
    text.model.load_state_dict(checkpoint.language_model.state_dict())
    text.lm_head.load_state_dict(checkpoint.head.state_dict())
    text.generation_config.eos_token_id = checkpoint.model.generation_config.eos_token_id
    text.save_pretrained(folder)
    checkpoint.tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def demo() -> PolicyLM:
    """The embedded model, which is what audio-hf takes without a name."""
    return model("hf", batch_size=2)


@pytest.fixture
def mmar(tmp_path: Path) -> Path:
    """Six items of a real benchmark's form, one of which has an unreadable recording."""
    return write_mmar(tmp_path / "data")


def model(backend: str, **arguments: Any) -> PolicyLM:
    """A model by its name in lm-eval's registry, made as its command line makes it."""
    found = get_model(f"audio-{backend}").create_from_arg_obj(arguments)
    assert isinstance(found, PolicyLM)
    return found


def evaluate(lm: Any, tasks: list[str], folder: Path | None = None, data_dir: Path | None = None, **how: Any) -> Any:
    """lm-eval's own evaluator on the tasks of a folder, or on ours; those that come with it are not looked at."""
    metadata = {"data_dir": str(data_dir)} if data_dir else {}
    manager = TaskManager(include_path=str(folder or TASKS_DIR), include_defaults=False, metadata=metadata)
    return simple_evaluate(model=lm, tasks=tasks, task_manager=manager, bootstrap_iters=0, **how)


def answers(found: Any, task: str) -> list[str]:
    """What was answered to the items of a task, in their order."""
    return [sample["resps"][0][0] for sample in found["samples"][task]]


@pytest.fixture
def few_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command line without the tasks that come with lm-eval, whose files take it ten seconds to read."""
    monkeypatch.setattr(lm_eval.tasks, "TaskManager", partial(TaskManager, include_defaults=False))


@pytest.fixture
def heard(demo: PolicyLM, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The items that the embedded model was asked about since the test looked last."""
    asked: list[str] = []
    generate: Callable[..., Any] = demo.policy.generate

    def listening(questions: Any, sampling: Any) -> Any:
        asked.extend(question.id.split("/")[1] for question in questions)
        return generate(questions, sampling)

    monkeypatch.setattr(demo.policy, "generate", listening)
    return asked
