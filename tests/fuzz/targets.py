"""What is fuzzed: for each name a function of bytes, and what it begins with.

A function returns where the bytes are read, and where they are refused as they should be: by an error that the user
sees as one line (``read``). Whatever else it raises is a finding.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from audio_eval.errors import as_user_error
from tests.bad_input import texts

MESSAGE = 10_000  # characters of one line


@dataclass(frozen=True)
class Target:
    """``seeds`` are whole inputs, ``words`` what texts of this kind are made of; both are only to begin with."""

    call: Callable[[bytes], object]
    seeds: Callable[[], Iterator[bytes]]
    words: tuple[str, ...] = ()
    longest: int = 4096  # bytes of an input
    instrumented: tuple[str, ...] = ("audio_eval",)  # packages whose branches are watched


def read(call: Callable[[], Any]) -> Any:
    """What a call gives; None where it ends in an error that the user sees as one line."""
    try:
        return call()
    except Exception as error:
        seen = as_user_error(error)
        if seen is None:
            raise
        said = " ".join(str(seen).split())
        assert said and len(said) < MESSAGE, f"{len(said)} characters of a message"
        return None


@lru_cache(maxsize=1)
def folder() -> Path:
    """A folder of this process, in memory where the system has such."""
    memory = Path("/dev/shm")
    made = tempfile.TemporaryDirectory(prefix="fuzz-", dir=memory if memory.is_dir() else None)
    _FOLDERS.append(made)
    return Path(made.name)


_FOLDERS: list[tempfile.TemporaryDirectory[str]] = []


# recordings: our reading of the structure of a file is watched, libsndfile behind it is not


def recording(data: bytes) -> None:
    """``AudioRef``: what is heard is as long as was said before, and made of numbers."""
    import numpy as np

    from audio_eval.audio import AudioRef

    audio = AudioRef(data=data)
    length, wave = read(audio.length), read(audio.load)
    if wave is not None:
        assert wave.dtype == np.float32 and np.isfinite(wave).all()
        assert len(wave) == length, f"{len(wave)} samples, and {length} were foretold"
        read(lambda: AudioRef(data=data, part=(0.0, 0.01)).load())


def _recordings() -> Iterator[bytes]:
    from tests.bad_input.recordings import FRAME, _damaged, _others
    from tests.formats.recordings import CODED, DECLARING, encode, noise

    for name in (*DECLARING, *CODED):
        whole = encode(noise(0.03), name)
        yield whole
        yield from _damaged(whole).values()
    yield FRAME * 5
    yield encode(noise(0.03).repeat(2).reshape(-1, 2))
    yield from _others().values()
    yield encode(noise(0.03, rate=8_000), "WAV", 8_000)


# responses: fields of a text between NUL characters, the response and the options; without options, these

OPTIONS: tuple[tuple[str, ...], ...] = (
    ("a dog", "a cat", "rain", "No music"),
    ("Man", "Woman"),
    ("C", "C#", "G", "D"),
    ("1", "2", "3", "10"),
    ("\u72d7\u53eb", "\u732b\u53eb", "\u4e0b\u96e8"),
    ("It is a dog, because it barks.", "The answer is B", "<answer>x</answer>", ""),
    tuple(f"option {i}" for i in range(30)),
)


def _response(data: bytes) -> tuple[str, tuple[str, ...]]:
    response, *options = data.decode("utf-8", "surrogateescape").split("\0")
    return response[1:], tuple(options) or OPTIONS[ord(response[:1] or "0") % len(OPTIONS)]


def extraction(data: bytes) -> None:
    """Every scorer, every official rule, and all that reads what a judge or a model says, of a response."""
    from audio_eval.rl.consensus import judging
    from audio_eval.scoring import answer_text, grade, has_format, parse_choice
    from audio_eval.scoring.extraction import marked_at, stated
    from audio_eval.scoring.rules import RULES
    from audio_eval.scoring.scorer import ScoredItem
    from audio_eval.scoring.scorers.choice import Choice
    from audio_eval.scoring.scorers.none import Unscored
    from audio_eval.scoring.scorers.open import Open
    from audio_eval.scoring.thinking import spoken

    response, options = _response(data)
    found = parse_choice(response, options)
    assert found is None or 0 <= found < len(options)
    for name, rule in RULES.items():
        verdict = rule(response, options, options[-1] or "x")
        assert verdict.choice is None or 0 <= verdict.choice < max(len(options), 26), (name, verdict)
        assert name != "choice" or verdict.choice == found
        item = ScoredItem("i", "q", options[0], options, (*options, None), rule, tagged=True)
        for scorer in (Choice(), Open(), Unscored()):
            score = scorer.score(item, response)
            assert score.outcome in ("correct", "wrong", "excluded")
            scorer.figures([score])
    if marked := marked_at(response):
        assert 0 <= marked[0] <= marked[1] <= len(response), marked
    for parsed in (grade.parse(response), judging.parse(response)):
        assert parsed is None or 0 <= parsed <= 10
    stated(spoken(response)), answer_text(response), has_format(response)


def normal(data: bytes) -> None:
    """The normal forms of a text, and a text as an option."""
    from audio_eval.scoring.normal import loose, normalise, plain
    from audio_eval.scoring.options import foldable, prepare

    text, options = _response(data)
    for form in (plain, normalise, loose, foldable):
        assert isinstance(form(text), str)
    prepared = prepare((text, *options))
    prepared.named(text), prepared.exact(text), prepared.mentions(text), prepared.begins(text)


WORDS = (
    "<answer>", "</answer>", "<think>", "</think>", "\\boxed{", "}", "Answer:", "the answer is ", "option B", "not ",
    "rather than", '{"answer": "', "'", "(A)", "B.", "because ", "**", "$", "\n", "<|im_end|>", "assistant\n", "or ",
    "<|channel|>final<|message|>", "\\text{", "#", "\u2014", "\u3002", "\u00e9", "isn't", "ruled out", "?", "Score: ",
)  # fmt: skip


def _responses() -> Iterator[bytes]:
    for place, options in enumerate(OPTIONS):
        first = str(place).encode()
        for option in options[:4]:
            for form in ("{}", "<answer>{}</answer>", "\\boxed{{{}}}", '{{"answer": "{}"}}', "Answer: {}", "not {}",
                         "<think>x</think>{}", "B. {}", "It is {}, but it isn't", "The answer is {}."):  # fmt: skip
                yield first + form.format(option).encode()
        yield "\0".join(["0the answer is (B)", *options]).encode()
    yield from (f"0{word}".encode() * 3 for word in WORDS)


# YAML: run files as the command line takes them, tasks as --include-path brings them


def run_file(data: bytes) -> None:
    """A run file: the specs that it makes can be written down."""
    from audio_eval.runs import plan

    plan.listing = _our_tasks
    path = folder() / "run.yaml"
    path.write_bytes(data)
    for spec in read(lambda: plan.plan({}, str(path))) or ():
        assert json.loads(json.dumps(spec.model_dump(), allow_nan=False)) == spec.model_dump(mode="json")


@lru_cache(maxsize=4)
def _listed(include_path: str | None) -> Any:
    from audio_eval.task_index import listing

    return listing(include_path)


def _our_tasks(include_path: str | None = None) -> Any:
    """The tasks, read once. A folder that the file names is not walked: it may be all of the disk."""
    from audio_eval.errors import UserError

    if include_path is not None:
        raise UserError(f"no folder '{include_path}'.")
    return _listed(None)


def _run_files() -> Iterator[bytes]:
    yield from (text for text in texts.RUN_FILES if len(text) < 4096)
    for method in ("direct", "ttrl", "aqa_ttrl", "sft", "grpo", "sari"):
        yield f"model: tiny-omni\ntasks: [synth_aqa, mmar]\nmethod: [{method}]\nseed: [0, 1]\nlimit: 0.5\n".encode()
        yield f"model: tiny-omni\ntasks: synth_aqa\nmethod: {method}\nmethod_args: {{lr: 1.0e-4, steps: 3}}\n".encode()


def task_file(data: bytes) -> None:
    """A task's file: it is a task, or left out with the reason, and a task has a fingerprint."""
    from audio_eval import task_index

    tasks, package = folder() / "tasks", folder() / "package"
    for made in (tasks, package):
        made.mkdir(exist_ok=True)
    task_index.TASKS_DIR = package  # empty: the package's own are read in another test
    (tasks / "mine.yaml").write_bytes(data)
    found = task_index.listing(str(tasks))
    assert all("mine.yaml" in reason and len(reason) < MESSAGE for reason in found.broken.values())
    read(lambda: found.expand([*found.tasks, *found.groups, "nosuch:test"]))
    for name in found.tasks:
        json.dumps(found.tasks[name], allow_nan=True)
        read(lambda name=name: found.definition(name))
        if ":" not in name:  # what stands behind it is asked for as a split, so that "expand" knows no such task
            read(lambda name=name: found.check_sources([name], ["official"]))


def _task_files() -> Iterator[bytes]:
    yield from (text for text in texts.YAML if len(text) < 4096)
    yield (
        b"include: mine.yaml\ntask: mine\ntag: [a, b]\nmetadata:\n  version: 1.0\n  description: d\n  groups: [x]\n"
        b"  hub: [a/b]\n  scoring: mine:Scorer\n  official: mine:rule\ncustom_dataset: !function mine.build\n"
    )
    yield b"group: g\ntask: [a, b]\n"
    yield b"task: &a [*a]\nx: &b {<<: {y: 1}}\nz: *b\n"


# JSON: rows of a benchmark, responses made elsewhere, records of a run directory


def rows(data: bytes) -> None:
    """A file of rows: each is a record or a problem with its place, and what is read can be written."""
    from audio_eval.data import OFFICIAL, Place, read_rows
    from audio_eval.data.sources import convert_rows
    from audio_eval.json_text import BadJson, parse, parse_list
    from audio_eval.runs.external import read_responses
    from audio_eval.tasks.mmar.data import TEST

    with suppress(BadJson):
        json.dumps(parse(data), ensure_ascii=False, allow_nan=True).encode()
    with suppress(BadJson):
        parse_list(data)
    path = folder() / "rows.jsonl"
    path.write_bytes(data)
    found = read(lambda: list(read_rows(path))) or []
    placed = [(Place("line", number), row) for number, (_, row) in enumerate(found, 1)]
    for record in read(lambda: convert_rows(placed, folder(), TEST.named[OFFICIAL].convert, "x")) or ():
        json.dumps(record, ensure_ascii=False).encode()
    asked = SimpleNamespace(name="t", metadata={"row_id": "id"}, questions=[SimpleNamespace(id="r1")])
    read(lambda: read_responses(path, asked))


def run_directory(data: bytes) -> None:
    """Files of a run directory: each is read, or refused in one line; damage is cut off, and what is left is whole."""
    from audio_eval.runlog import RunLog

    name, _, content = data.partition(b"\n")
    logs = folder() / "run"
    (logs / "adapt").mkdir(parents=True, exist_ok=True)
    log = RunLog(logs)
    readers = {
        "spec.json": log.spec, "result.json": log.result, "identity.json": log.identity, "env.json": log.environment,
        "notes.json": log.notes, "responses.jsonl": log.responses.read, "scores.jsonl": log.scores.read,
        "questions.jsonl": log.questions.read, "metrics.jsonl": log.steps.read, "curve.jsonl": log.curve.read,
        "adapt/labels.jsonl": log.labels.read,
    }  # fmt: skip
    known = list(readers)
    name = known[sum(name) % len(known)]
    (logs / name).write_bytes(content)
    try:
        read(readers[name])
        if name == "responses.jsonl":
            log.responses.mend()
            log.responses.read()
    finally:
        (logs / name).unlink()
        (logs / ".responses.jsonl.crc").unlink(missing_ok=True)


def _documents() -> Iterator[bytes]:
    yield from (content for content in texts.DOCUMENTS.values() if len(content) < 8192)
    for key in texts.ROW:
        yield from (texts.line({**texts.ROW, key: value}) for value in texts.SMALL)
    yield texts.line({"id": "r1", "response": "a dog"}) * 2


def _run_directories() -> Iterator[bytes]:
    from audio_eval.runlog.records import LabelRecord, Notes, ResponseRecord, StepRecord
    from audio_eval.runs.plan import plan

    (spec,) = plan({"model": "tiny-omni", "tasks": "synth_aqa", "method": "direct"})
    records = [
        spec.model_dump(mode="json"), ResponseRecord(id="i", response="x", groups=((("x", 2),),)).model_dump(),
        Notes().model_dump(), StepRecord(step=1).model_dump(), list(LabelRecord.model_fields), {"version": 1},
        {"results": {}, "audio_eval": {"accuracy": 5.0, "n": 3, "groups": {"a": {"b": {}}}}}, [], 5,
    ]  # fmt: skip
    for record in records:
        for place in range(11):
            yield bytes([place]) + b"\n" + json.dumps(record).encode() + b"\n"


# templates: prompts, and those of a checkpoint


def template(data: bytes) -> None:
    """A prompt, and the chat template of a checkpoint."""
    from audio_eval.models.hf.chat_templates import bound_chat_template
    from audio_eval.prompts import PromptTemplate

    source = data.decode("utf-8", "replace")
    prompt = PromptTemplate("mine", source)
    read(lambda: prompt.variables)
    read(lambda: prompt.render("What is heard?", ["a dog", "a cat", ""]))
    tokenizer = SimpleNamespace(
        chat_template=source, special_tokens_map={"bos_token": "<s>"}, apply_chat_template=lambda *_, **__: ""
    )
    bound_chat_template(tokenizer, "mine")
    chat = [{"role": "user", "content": [{"type": "audio"}, {"type": "text", "text": "What is heard?"}]}]
    read(lambda: tokenizer.apply_chat_template(chat, add_generation_prompt=True))


def _templates() -> Iterator[bytes]:
    from tests.test_sandbox import BOMBS, HONEST

    yield from (source.encode() for source in (*BOMBS.values(), *HONEST))
    yield (
        b"{% for m in messages %}<|im_start|>{{ m['role'] }}\n{% for c in m.content %}{% if c.type == 'audio' %}<a>"
        b"{% else %}{{ c.text }}{% endif %}{% endfor %}<|im_end|>{% endfor %}"
        b"{{ raise_exception('no') if not messages }}"
    )
    yield b"{% generation %}{{ bos_token }}{% endgeneration %}{{ messages | tojson(indent=2) }}{{ strftime_now('%Y') }}"


TARGETS: dict[str, Target] = {
    "recording": Target(recording, _recordings, ("RIFF", "WAVE", "fmt ", "data", "fLaC", "OggS", "ID3"), 8192),
    "extraction": Target(extraction, _responses, WORDS),
    "normal": Target(normal, _responses, WORDS),
    "run_file": Target(run_file, _run_files, instrumented=("audio_eval", "yaml")),
    "task_file": Target(task_file, _task_files, instrumented=("audio_eval", "yaml")),
    "rows": Target(rows, _documents, ('"id"', '"response"', '"choices"', "\\ud800", "NaN", "1e999", "[[", "\n")),
    "run_directory": Target(run_directory, _run_directories),
    "template": Target(
        template, _templates, ("{{", "}}", "{%", "%}", "| ", "for x in ", "range(", "macro ", "namespace(", "~"),
        instrumented=("audio_eval", "jinja2"),
    ),
}  # fmt: skip
