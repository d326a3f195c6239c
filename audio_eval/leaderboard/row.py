"""Row: a method on a task, averaged over its seeds, with all that the columns say of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from audio_eval.leaderboard.labels import Facts
from audio_eval.leaderboard.published import Published
from audio_eval.leaderboard.runs import BASELINE, Run
from audio_eval.scoring.figures import Metric
from audio_eval.scoring.statistics import Comparison, FateBin, Fates, Interval, Standing


@dataclass(frozen=True)
class Row:
    """A method on a task, averaged over its seeds. Percents are 0..100; ``samples`` and ``wall_s`` are per run.

    ``label`` is its name in the table of its task. ``accuracy`` and ``interval`` are None where the answers are hidden,
    ``comparison``, ``fates`` and ``p_holm`` where there is no comparable ``direct``. ``p_holm`` is the p-value adjusted
    for the ``family``: the number of rows of one table that are compared with ``direct`` under the same conditions.
    ``untagged`` and ``not_an_option`` are the parts of ``unparsable`` by their reason, None where it was not recorded;
    ``readable_accuracy`` is that of the responses that could be read. ``seed_deviation`` is that of the seeds'
    accuracies in points, None for one seed. ``fates_by_confidence`` is empty where nothing was voted on. ``groups`` is
    the main breakdown, ``macro`` its unweighted mean. ``official`` and ``official_n`` (lowest and highest over seeds)
    follow the benchmark's own rule. ``settings`` are those that are not the method's usual ones. ``runs`` are the runs
    that the row averages, by seed.

    ``apart`` says why the row is ranked with no other; where it is None, ``standing`` is its place among the rows of
    its conditions (boards.py), None where there is no other row. ``retained`` has the percent of the accuracy that is
    left by what is heard in place of the recordings, for each such arm that was run. ``reported`` are the figures of
    others for the same model, method and task.
    """

    model: str
    method: str
    task: str
    prompt: str | None
    scorer: str | None
    data_revision: str | None
    model_revision: str | None
    seeds: tuple[int, ...]
    n: int
    accuracy: float | None
    interval: Interval | None
    groups: dict[str, float | None]
    macro: float | None
    unparsable: float
    untagged: float | None
    not_an_option: float | None
    readable_accuracy: float | None
    seed_deviation: float | None
    comparison: Comparison | None
    fates: Fates | None
    fates_by_confidence: tuple[FateBin, ...]
    official: float | None
    official_n: tuple[int, int] | None
    official_rule: str | None
    metrics: dict[str, Metric]
    samples: float | None
    wall_s: float | None
    tags: tuple[str, ...]
    settings: dict[str, Any]
    runs: tuple[Run, ...]
    label: str = ""
    p_holm: float | None = None
    family: int | None = None
    apart: str | None = None
    standing: Standing | None = None
    retained: Mapping[str, float] = field(default_factory=dict)
    reported: tuple[Published, ...] = ()

    @property
    def failed(self) -> int:
        """Items that failed or had no response, of the seed with the most; they count as wrong."""
        notes = [run.summary.notes for run in self.runs]
        return max(len({*of_run.get("unreadable", ()), *of_run.get("missing", ())}) for of_run in notes)

    @property
    def facts(self) -> Facts:
        """What may tell it from the other rows of a table."""
        first = self.runs[0].summary
        origin = {
            "prompt": self.prompt, "scorer": self.scorer, "data": self.data_revision, "model": self.model_revision,
            "recordings": first.audio_revision, "graders": first.graders or "nobody",
        }  # fmt: skip
        order = (*map(str, self.seeds), *(run.name for run in self.runs))
        return Facts(self.model, self.method, self.settings, self.tags, origin, {"n": str(self.n)}, order)

    @property
    def baseline(self) -> bool:
        """Whether other rows are compared with it."""
        return self.runs[0].baseline

    @property
    def hears(self) -> bool:
        """Whether it was given the recordings, and not an audio ablation."""
        return self.runs[0].summary.audio is None

    @property
    def one_seed(self) -> bool:
        """Whether its figures are conditional on the one seed it has; greedy answers do not depend on seeds."""
        drawn = self.method != BASELINE or self.runs[0].summary.audio == "shuffled"
        return len(self.seeds) == 1 and drawn
