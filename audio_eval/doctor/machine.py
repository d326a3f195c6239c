"""The machine: torch's build and its GPUs, memory, and the folders that are written to."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from shutil import disk_usage

from audio_eval.cache import cache_root
from audio_eval.doctor.child import in_child
from audio_eval.doctor.finding import Finding, State
from audio_eval.doctor.packages import required
from audio_eval.threads import CGROUP

GIB = float(1 << 30)
LEAST_MEMORY = 2.0  # GiB; the embedded model with torch takes one
LEAST_DISK = 1.0  # GiB
# Never needed here, but transformers imports them where they are; one of another torch breaks its models.
COMPANIONS = ("torchvision", "torchaudio", "torchcodec")
SECONDS = 120.0
_TORCH = """
import torch
gpus = [[torch.cuda.get_device_name(i), *torch.cuda.mem_get_info(i)] for i in range(torch.cuda.device_count())]
tell([torch.__version__, torch.version.cuda or torch.version.hip, gpus])
"""


def torch() -> Iterator[Finding]:
    """The build of torch, the GPUs it can use with their free memory, and packages beside it that do not fit."""
    told = in_child(_TORCH, SECONDS)
    if not told.values:
        yield Finding("torch", "failed", told.why or "", "python -m pip install --force-reinstall torch")
        return
    number, cuda, gpus = told.values[0]
    yield Finding("torch", "ok", f"{number}, built for {f'CUDA {cuda}' if cuda else 'the CPU'}")
    for name, free, total in gpus:
        yield Finding("gpu", "ok", f"{name}: {free / GIB:.1f} of {total / GIB:.1f} GiB free")
    if not gpus:
        yield _no_gpu(cuda)
    yield from _companions()


def memory() -> Iterator[Finding]:
    """Free memory, and the limit of the process's container."""
    free, total = _memory()
    detail = f"{free / GIB:.1f} of {total / GIB:.1f} GiB available"
    if free / GIB < LEAST_MEMORY:
        yield Finding("memory", "warning", detail, f"close other programs: a run takes {LEAST_MEMORY:g} GiB or more")
    else:
        yield Finding("memory", "ok", detail)


def folders(output: str) -> Iterator[Finding]:
    """Whether the folders of runs, of the cache and of the hub's files can be written to, and the free disk there."""
    yield _folder("output folder", Path(output), "failed", "name another one: --output DIR")
    yield _folder("cache folder", cache_root(), "failed", "set AUDIO_EVAL_CACHE to a folder of yours")
    from huggingface_hub import constants

    yield _folder("hub's folder", Path(constants.HF_HUB_CACHE), "warning", "set HF_HOME to a folder of yours")


def _folder(name: str, folder: Path, state: State, mend: str) -> Finding:
    """A folder that is not there yet is as good as the one it would be made in. Nothing is left behind."""
    folder = folder.expanduser().absolute()
    try:
        there = next(path for path in (folder, *folder.parents) if path.exists())
        with tempfile.NamedTemporaryFile(dir=there):
            free = disk_usage(there).free / GIB
    except OSError as error:
        why = f"{folder} cannot be written to ({error.strerror})"
        return Finding(name, state, why, mend)
    detail = f"{folder}: {free:.1f} GiB free"
    if free < LEAST_DISK:
        return Finding(name, "warning", detail, f"make room, or {mend}")
    return Finding(name, "ok", detail)


def _no_gpu(cuda: str | None) -> Finding:
    there = [path.name for path in Path("/dev").glob("nvidia*") if re.fullmatch(r"nvidia\d+", path.name)]
    if not there:
        return Finding("gpu", "ok", "none: models run on the CPU")
    if not cuda:
        mend = "install torch's CUDA build: https://pytorch.org/get-started/locally"
        return Finding("gpu", "warning", f"{len(there)} GPUs are here, and torch is built for the CPU", mend)
    mend = f"see nvidia-smi: the driver must be as new as CUDA {cuda}; CUDA_VISIBLE_DEVICES may hide them"
    return Finding("gpu", "warning", f"{len(there)} GPUs are here, and torch can use none", mend)


def _companions() -> Iterator[Finding]:
    """Of the packages beside torch, those that are of another torch or do not import."""
    for name in COMPANIONS:
        try:
            now = version(name)
        except PackageNotFoundError:
            continue
        own = version("torch")
        wants = [r for r in required(of=name) if r.name == "torch" and not r.specifier.contains(own, prereleases=True)]
        why = f"is made for torch{wants[0].specifier}" if wants else in_child(f"import {name}", SECONDS).why
        if why:
            mend = f"python -m pip uninstall {name}: it is not needed here, and it breaks transformers' models"
            yield Finding(name, "warning", f"{now} beside torch {own}: {why}", mend)


def _memory() -> tuple[float, float]:
    """Available and total bytes, by the kernel and the cgroup, whichever is less."""
    page = os.sysconf("SC_PAGE_SIZE")
    total = float(page * os.sysconf("SC_PHYS_PAGES"))
    free = float(page * os.sysconf("SC_AVPHYS_PAGES")) if "SC_AVPHYS_PAGES" in os.sysconf_names else total
    info = Path("/proc/meminfo")
    if info.is_file() and (found := re.search(r"MemAvailable:\s+(\d+) kB", info.read_text())):
        free = float(found[1]) * 1024
    for names in (("memory.max", "memory.current"), ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes")):
        try:
            most, taken = (float((CGROUP / name).read_text()) for name in names)
        except (OSError, ValueError):  # no such file, or "max"
            continue
        return min(free, max(most - taken, 0.0)), min(total, most)
    return free, total
