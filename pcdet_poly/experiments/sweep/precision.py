"""`train.mixed_precision: auto` in a sweep: measured once, because trials that are compared must compute alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pcdet_poly.config.sections.train import Arithmetic
from pcdet_poly.experiments.sweep.folder import SweepFolder
from pcdet_poly.experiments.sweep.schema import Trial


def fix_precisions(folder: SweepFolder, trials: Sequence[Trial], *, gpus: float) -> list[Trial]:
    """Give all trials of a network that say `auto` one arithmetic.

    It is that of an earlier start of the sweep, or else the faster one on this machine.

    Args:
        folder: the sweep's folder, which need not be there.
        trials: all trials.
        gpus: of a trial; 0 for the CPU.
    """
    if all(trial.config.train.mixed_precision != "auto" for trial in trials):
        return list(trials)
    from pcdet_poly.engine.choose_precision import read_fixed_precision, set_precision

    chosen: dict[tuple[str, ...], Arithmetic] = {}
    fixed = []
    for trial in trials:
        if trial.config.train.mixed_precision != "auto":
            fixed.append(trial)
            continue
        if trial.network not in chosen:
            kept = [read_fixed_precision(folder.config_path(each.name)) for each in trials if _is_alike(each, trial)]
            known = [kind for kind in kept if kind is not None]
            chosen[trial.network] = known[0] if known else _measure(trial, gpus)
        fixed.append(replace(trial, config=set_precision(trial.config, chosen[trial.network])))
    return fixed


def _is_alike(one: Trial, other: Trial) -> bool:
    return one.network == other.network and one.config.train.mixed_precision == "auto"


def _measure(trial: Trial, gpus: float) -> Arithmetic:
    from pcdet_poly.engine.choose_precision import choose_precision
    from pcdet_poly.engine.environment import pick_device
    from pcdet_poly.engine.frames import open_training_frames

    device = pick_device("cuda" if gpus else "cpu")
    return choose_precision(trial.config, open_training_frames(trial.config), device)
