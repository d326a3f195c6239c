"""From flags and a run file to resolved RunSpecs: names and settings are checked, nothing heavy is loaded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from audio_eval import prompts
from audio_eval.errors import UserError, explain, unknown
from audio_eval.method import Method
from audio_eval.models.backends import check_deterministic, check_long_audio, choose
from audio_eval.openai_client import refuse_secrets
from audio_eval.plain_numbers import odd
from audio_eval.registry import method_class
from audio_eval.regular import read_regular
from audio_eval.runlog import ResponsesSpec, RunLog, RunSpec
from audio_eval.runlog.result import MAX_NAME
from audio_eval.runlog.spec import NO_TRAIN_TASK, differences, same_run, settings_of
from audio_eval.runs.run_file import check
from audio_eval.task_index import listing
from audio_eval.yaml_text import BadYaml, parse_yaml

LONGEST = 200  # bytes of a run directory's name


def plan(flags: dict[str, Any], config: str | None = None) -> list[RunSpec]:
    """One spec per task, method and seed.

    Precedence of settings: flag, run file, preset that the user names, the model's preset, the method's defaults.
    """
    file = read_config(Path(config)) if config else {}
    merged = {**file, **flags}
    for settings in (file, flags):
        refuse_secrets({key: value for key, value in settings.items() if key in RunSpec.model_fields})
    _check_given(merged)
    model, methods = str(merged["model"]), listed(merged.get("method", "direct"))
    model_args = {**_model_args(file), **_model_args(flags)}
    chosen_model = choose(model, merged.get("backend"), model_args, merged.get("adapter"))
    entry, backend = chosen_model.entry, chosen_model.backend
    check_long_audio(backend, merged.get("long_audio", "cut"))
    check_deterministic(backend, merged.get("deterministic") is True)
    classes = {name: method_class(name) for name in methods}
    typed = merge_args(_mapping(file.get("method_args", {})), parse_args(flags.get("method_args", "")))
    own, asked = per_method(typed, {name: cls.name for name, cls in classes.items()}, classes)
    rest = {
        k: v
        for k, v in merged.items()
        if k in RunSpec.model_fields and k not in ("model", "method", "seed", "method_args", "model_args")
    }
    if "batch_size" not in rest and (batch := chosen_model.batch_size(rest.get("device"))):
        rest["batch_size"] = batch
    if (prompt := rest.get("prompt")) and str(prompt).endswith(prompts.SUFFIXES):
        # The file may have changed when the run is resumed, so the spec keeps what it holds now.
        found = prompts.find(str(prompt))
        rest |= {"prompt": found.name, "prompt_source": found.source}
    elif prompt:
        prompts.find(str(prompt))
    known = listing(rest.get("include_path"))
    tasks = known.expand([str(name) for name in listed(merged["tasks"])])
    others = [rest[key] for key in ("train_task", "adapt_task") if rest.get(key) not in (None, "same")]
    known.check_sources(known.expand([*tasks, *others]), listed(rest.get("source") or ""))
    specs = []
    for task in tasks:
        for name, cls in classes.items():
            chosen = {**own.get(name, {}), **asked.get(name, {})}
            if cls.trains and not backend.can_train:
                raise UserError(f"method '{name}' trains, and backend '{backend.name}' can only generate.")
            preset = _preset(cls, name, chosen.pop("preset", None))
            resolved = configure(cls, name, {**entry.usual(cls.presets), **preset, **chosen})
            if cls(cls.Config(**resolved)).needs_labels and not rest.get("train_task"):
                raise UserError(NO_TRAIN_TASK.format(name))
            for seed in _seeds(merged.get("seed", 0)):
                try:
                    specs.append(
                        RunSpec(
                            model=model, model_args=model_args, method=name, method_args=resolved, task=task,
                            seed=seed, **rest,
                        )
                    )  # fmt: skip
                except ValidationError as error:
                    raise UserError(explain(error)) from None
    return specs


def read_config(path: Path) -> dict[str, Any]:
    """A run file: YAML with the flags' names; ``method_args`` is a mapping, one method's settings under its name."""
    try:
        content = parse_yaml(read_regular(path).decode())
    except FileNotFoundError:
        raise UserError(f"no run file '{path}'.") from None
    except OSError as error:
        raise UserError(f"run file '{path}' cannot be read ({error.strerror}).") from None
    except ValueError as error:
        raise UserError(f"run file '{path}' is no YAML: {error}") from None
    return check(path, content)


def listed(value: Any) -> list[Any]:
    """A list from a text with commas, a YAML list or a single value."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return list(value) if isinstance(value, (list, tuple)) else [value]


def parse_args(text: str, flag: str = "--method-args") -> dict[str, Any]:
    """``key=value,...``; values are read as YAML scalars; ``method.key=value`` is for one method."""
    found: dict[str, Any] = {}
    for part in listed(text):
        key, equals, value = part.partition("=")
        if not equals:
            raise UserError(f"{flag} takes key=value,...: '{part}' has no '='.")
        if odd(value.strip()):
            raise UserError(f"{flag}: '{part}' is no plain number: write it as 1000, 0.5 or 1e-6.")
        try:
            found[key.strip()] = parse_yaml(value)
        except BadYaml:
            raise UserError(f"{flag}: the value of '{key}' cannot be read: {value}") from None
    return found


def merge_args(file: dict[str, Any], flags: dict[str, Any]) -> dict[str, Any]:
    """The settings of a run file, nested ones as ``method.key``, overridden by those of the flags."""
    flat: dict[str, Any] = {}
    for key, value in file.items():
        flat |= {f"{key}.{inner}": v for inner, v in value.items()} if isinstance(value, dict) else {key: value}
    return {**flat, **flags}


def per_method(
    args: dict[str, Any], names: dict[str, str], classes: dict[str, type[Method]]
) -> tuple[dict[str, dict[str, Any]], dict[str, dict[str, Any]]]:
    """The settings of each method: a bare key goes to every method that has it, ``method.key`` to that method."""
    bare: dict[str, dict[str, Any]] = {name: {} for name in classes}
    dotted: dict[str, dict[str, Any]] = {name: {} for name in classes}
    for key, value in args.items():
        method, dot, inner = key.rpartition(".")
        takers = [name for name in classes if dot and method in (name, names[name])] if dot else list(classes)
        if dot and not takers:
            raise unknown("method", method, names.values(), f" in setting '{key}'")
        known_to = {name: {*classes[name].Config.model_fields, "preset"} for name in takers}
        knowing = [name for name in takers if inner in known_to[name]]
        if not knowing:
            known = set().union(*known_to.values())
            raise unknown("setting", inner, known, f" of method {', '.join(names[name] for name in takers)}")
        for name in knowing:
            (dotted if dot else bare)[name][inner] = value
    return bare, dotted


def _check_given(flags: Mapping[str, Any]) -> None:
    """``UserError`` where there is no model or no task, or a list that names nothing."""
    for key in ("model", "tasks"):
        if not flags.get(key):
            raise UserError(f"--{key} is missing: see audio-eval ls for what there is.")
    for key in ("tasks", "method", "seed"):
        if not listed(flags.get(key, 0)):
            raise UserError(f"--{key} names nothing (given: {flags[key]}).")


def _seeds(value: Any) -> list[Any]:
    """The seeds; a text that is no plain number is none."""
    seeds = listed(value)
    if wrong := [seed for seed in seeds if isinstance(seed, str) and odd(seed)]:
        raise UserError(f"seed: '{wrong[0]}' is no plain integer.")
    return seeds


def _preset(cls: type[Method], name: str, preset: Any) -> dict[str, Any]:
    """The settings of a named preset; None: no preset."""
    if preset is None:
        return {}
    if preset not in cls.presets:
        raise unknown("preset", str(preset), cls.presets, f" of method '{name}'")
    return dict(cls.presets[preset])


def configure(cls: type[Method], name: str, settings: dict[str, Any]) -> dict[str, Any]:
    """The method's settings, every one of them, checked."""
    try:
        return cls.Config(**settings).model_dump()
    except ValidationError as error:
        raise UserError(f"method '{name}': {explain(error)}") from None


def usual_settings(cls: type[Method], model: str, backend: str | None = None) -> dict[str, Any]:
    """The settings of a method with this model where the user says nothing: its defaults, and the model's preset."""
    return cls.Config(**choose(model, backend).entry.usual(cls.presets)).model_dump()


def _model_args(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The backend's settings of a run file or of flags, ``dtype`` among them."""
    found = dict(_mapping(settings.get("model_args") or {}, "--model-args"))
    dtype = settings.get("dtype")
    if dtype and found.setdefault("dtype", dtype) != dtype:
        raise UserError(f"--dtype {dtype} and --model-args dtype={found['dtype']} contradict each other: give one.")
    return found


def _mapping(value: Any, flag: str = "--method-args") -> dict[str, Any]:
    return value if isinstance(value, dict) else parse_args(str(value), flag)


def run_folder(spec: RunSpec, output: Path, fresh: bool = False) -> Path:
    """The directory of a run. A model or an adapter in a folder has a digest of its place in the name: many are called
    ``final``.
    """
    parts = (
        _place(spec.model),
        *([_place(spec.adapter)] if spec.adapter else []),
        Path(spec.method).stem.replace(".py:", "-"),
        spec.task.replace(":", "-"),
        f"seed{spec.seed}",
    )
    return folder_for(parts, spec, output, fresh)


def folder_for(parts: Iterable[str], spec: RunSpec | ResponsesSpec, output: Path, fresh: bool = False) -> Path:
    """The directory named after ``parts`` that holds this very spec, finished or not; else a new name.

    ``fresh``: a new name in any case. Of several directories of one spec, which that makes, the last one counts.
    """
    base, found = _short("-".join(_safe(part) for part in parts)), None
    for i in range(1, 10_000):
        folder = output / (base if i == 1 else f"{base}-{i}")
        if len(str(folder)) > MAX_NAME:
            raise UserError(f"--output: the path of the run has more than {MAX_NAME} characters: choose shorter names.")
        if not (RunLog(folder).begun or RunLog(folder).remains):
            return found or folder
        if not fresh and _holds(folder, spec):
            found = folder
    raise UserError(f"'{output}' holds too many runs named {base}: choose another --output.")


def _place(source: str) -> str:
    """A short name of a model or an adapter; that of a folder with a digest of its path."""
    folder = Path(source).expanduser()
    if not folder.is_dir():
        return folder.name
    whole = folder.resolve()
    return f"{whole.name}_{sha256(str(whole).encode()).hexdigest()[:6]}"


def _holds(folder: Path, spec: RunSpec | ResponsesSpec) -> bool:
    """Whether a run directory is of this run; one that cannot be read, or is of another version, is not."""
    try:
        return same_run(RunLog(folder).spec(), spec)
    except UserError:
        return False


def other_settings(spec: RunSpec, folder: Path) -> str:
    """Why a new run does not go into the directory of its name that is there already: what differs; "" if none is."""
    base, _, number = folder.name.rpartition("-")
    if not number.isdigit() or RunLog(folder).begun:
        return ""
    before = folder.with_name(base if number == "2" else f"{base}-{int(number) - 1}")
    try:
        there = RunLog(before).spec()
    except (UserError, OSError):
        return f"'{before}' is another run, or cannot be read"
    found = differences(settings_of(there), settings_of(spec))
    return f"in '{before}' {'; '.join(found)}" if found else f"--fresh: '{before}' is the same run"


def _short(name: str) -> str:
    """The name of a directory that every file system takes, with room for a number."""
    return name if len(name.encode()) <= LONGEST else f"{name[:60]}_{sha256(name.encode()).hexdigest()[:12]}"


def _safe(text: str) -> str:
    kept = "".join(c if c.isalnum() or c in "-_." else "_" for c in text)
    return kept if kept == text else f"{kept}_{sha256(text.encode()).hexdigest()[:6]}"
