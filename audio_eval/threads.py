"""How many threads PyTorch uses and how they wait, so that two runs can share a machine.

OpenMP's idle threads spin by default. Two processes on the same cores then take ten times as long as one, because each
spins on the core that the other one needs. A thread that spins for some microseconds and then sleeps costs a run that
is alone about 15 %, and leaves two at once less than twice as slow (``bench/two_at_once.py``).

The number of threads decides in which order floating-point sums are added up, so the last bits of trained weights
depend on it: it is recorded in ``env.json``.
"""

from __future__ import annotations

import math
import os
from pathlib import Path

SPINS = 1_000  # rounds before an idle thread sleeps; of 500 to 30 000 the best for one run and for two together
CGROUP = Path("/sys/fs/cgroup")


def settle_threads() -> None:
    """Set OpenMP's environment variables where the user has not; call it before torch is imported."""
    if not {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"} & os.environ.keys():
        os.environ["OMP_WAIT_POLICY"], os.environ["GOMP_SPINCOUNT"] = "PASSIVE", str(SPINS)
    os.environ.setdefault("OMP_NUM_THREADS", str(free_cores()))


def free_cores() -> int:
    """The cores this process may use: its CPU affinity, further limited by the quota of its cgroup (a container's)."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, int(min(allowed, _quota())))


def _quota() -> float:
    """Cores that the cgroup grants, version 2 (cpu.max) or 1 (cpu.cfs_*); infinite where there is no limit."""
    for names in (("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")):
        try:
            quota, period = " ".join((CGROUP / name).read_text() for name in names).split()
            return math.ceil(int(quota) / int(period)) if int(quota) > 0 else math.inf
        except (OSError, ValueError):  # no such file, or "max"
            continue
    return math.inf
