"""Which trials of a sweep train in lockstep, in one process."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from typing import Literal

from pcdet_poly.experiments.sweep.schema import Trial

Group = tuple[str, ...]  # names of trials


def choose_largest_group(lockstep: Literal["auto"] | bool, *, num_trials: int, workers: int | None, gpus: float) -> int:
    """Choose how many trials may train in one process.

    Args:
        lockstep: as in the sweep's file.
        num_trials: that are to be trained.
        workers: processes at a time; None where nobody knows, as on a cluster.
        gpus: of a trial.

    Returns:
        1 where every trial has a process of its own. With `auto`, no worker is left without one.
    """
    if not lockstep or gpus > 1 or (lockstep == "auto" and workers is None):
        return 1
    if lockstep == "auto" and workers is not None:
        return max(1, num_trials // workers)
    return max(1, num_trials)


def group_trials(trials: Sequence[Trial], largest: int) -> list[Group]:
    """Group trials that may train in lockstep, in their order; groups of the same trials are of about one size.

    Args:
        trials: that are to be trained.
        largest: number of trials in a group.
    """
    if largest == 1:
        return [(trial.name,) for trial in trials]
    from pcdet_poly.engine.lockstep import describe_shared_settings

    alike: dict[str, list[str]] = {}
    for trial in trials:
        key = json.dumps([trial.network, describe_shared_settings(trial.config)])
        alike.setdefault(key, []).append(trial.name)
    return [group for names in alike.values() for group in _split_evenly(names, largest)]


def _split_evenly(names: Sequence[str], largest: int) -> list[Group]:
    num_groups = -(-len(names) // largest)
    ends = [len(names) * number // num_groups for number in range(num_groups + 1)]
    return [tuple(names[start:end]) for start, end in itertools.pairwise(ends)]
