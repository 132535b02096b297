"""How large each arm's classification gradient is beside the baseline's, on the same maps."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch

from pcdet_poly.config.schema import Config
from pcdet_poly.config.sections.losses import PolyConfig
from pcdet_poly.data.load.loader import load_evaluation_batches
from pcdet_poly.engine.checkpoint import config_values, find_first_difference, load_checkpoint, load_model
from pcdet_poly.engine.state import build_seeded_recipe
from pcdet_poly.experiments.loss_lab.examine_run import pick_frames
from pcdet_poly.experiments.report.finished_sweep import DetectorRuns
from pcdet_poly.experiments.report.loss_behaviour import pick_one_run_per_arm
from pcdet_poly.models import Recipe
from pcdet_poly.structures import AnchorMaps, CenterMaps, RsnMaps

# The classification's logits and its loss in each kind of maps; RSN's segmentation has another loss.
_LOGITS = {CenterMaps: ("heatmap", "heatmap"), AnchorMaps: ("logit", "class"), RsnMaps: ("heatmap", "heatmap")}


@dataclass(frozen=True)
class ArmSize:
    """The gradient size of one arm's loss."""

    size: float  # sum of |dL/dlogit|, divided by the baseline's
    is_polynomial: bool  # whether an epsilon changes the loss


def has_polynomial(config: Config) -> bool:
    """Whether an epsilon other than 0 changes the classification loss of a config."""
    loss = config.classification
    if not isinstance(loss, PolyConfig):
        return False
    values = [loss.epsilon, *loss.epsilons, loss.epsilon_background or 0.0]
    numbers = [number for value in values for number in (value if isinstance(value, tuple) else (value,))]
    return any(number != 0 for number in numbers)


def compare_sizes(weights: Mapping[str, float], sizes: Mapping[str, ArmSize]) -> float:
    """Compare the gradient sizes of the arms of a contrast.

    Args:
        weights: of the arms in the contrast.
        sizes: by arm.

    Returns:
        The ratio of one side's size to the other's, a geometric mean: the product of all sizes to the power of their
        weights. NaN where a size is not known.
    """
    if not all(arm in sizes and sizes[arm].size > 0 for arm in weights):
        return math.nan
    return math.prod(sizes[arm].size ** weight for arm, weight in weights.items())


def measure_arm_sizes(detector: DetectorRuns, num_frames: int) -> dict[str, ArmSize]:
    """Measure the gradient sizes of all arms that differ from the baseline by their classification loss alone.

    Args:
        detector: the runs. The maps are those of one finished baseline run.
        num_frames: validation frames to look at; none for 0.

    Returns:
        By arm; empty where nothing was measured.
    """
    runs = dict(pick_one_run_per_arm(detector))
    if num_frames < 1 or detector.baseline not in runs:
        return {}
    base = detector.runs[detector.baseline][runs[detector.baseline]].run
    recipe = _load_recipe(detector, detector.baseline, runs[detector.baseline])
    criteria = {
        arm: _load_recipe(detector, arm, seed) for arm, seed in runs.items() if _differs_by_loss_alone(detector, arm)
    }
    sums = dict.fromkeys(criteria, 0.0)
    for batch in load_evaluation_batches(base.config, pick_frames(base.config, num_frames)):
        with torch.no_grad():
            maps = recipe.model(batch)
        if type(maps) not in _LOGITS:
            return {}
        targets = recipe.assign(batch)
        for arm, one in criteria.items():
            sums[arm] += _sum_gradient(one, maps, targets)
    if not sums[detector.baseline] > 0:
        return {}
    return {
        arm: ArmSize(total / sums[detector.baseline], has_polynomial(detector.configs[arm]))
        for arm, total in sums.items()
    }


def _load_recipe(detector: DetectorRuns, arm: str, seed: int) -> Recipe:
    run = detector.runs[arm][seed].run
    path = run.find_checkpoint("last")
    recipe, checkpoint = build_seeded_recipe(run.config, torch.device("cpu")), load_checkpoint(path)
    load_model(recipe.model, checkpoint, path, run.config)
    recipe.model.eval()
    for name, loss in recipe.matched.items():
        loss.load_state_dict(checkpoint.matched.get(name, {}), torch.device("cpu"))
        loss.is_frozen = True
    return recipe


def _differs_by_loss_alone(detector: DetectorRuns, arm: str) -> bool:
    base, ours = (_leave_out_loss(config_values(detector.configs[name])) for name in (detector.baseline, arm))
    return find_first_difference(base, ours, ignore=frozenset({"train.seed"})) is None


def _leave_out_loss(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: section for name, section in values.items() if name != "classification"}


def _sum_gradient(recipe: Recipe, maps: Any, targets: Any) -> float:
    """Sum |dL/dlogit| of the recipe's classification loss at the end of a training."""
    name, loss = _LOGITS[type(maps)]
    logits = getattr(maps, name).detach().float().requires_grad_()
    with torch.enable_grad():
        value = recipe.criterion(replace(maps, **{name: logits}), targets, progress=1.0).parts[loss]
        (slope,) = torch.autograd.grad(value, logits)
    return float(slope.abs().sum(dtype=torch.float64))
