"""The heatmap loss's gradient on a small example with cars and walkers, cell by cell."""

from __future__ import annotations

import numpy as np
import torch
from matplotlib.colors import SymLogNorm
from matplotlib.figure import Figure
from torch import Tensor

from pcdet_poly.config.sections.output import TargetsConfig
from pcdet_poly.experiments.figures import create_figure
from pcdet_poly.losses import gaussian_poly1_focal
from pcdet_poly.structures import Grid, GroundTruth
from pcdet_poly.targets import CenterAssigner

EPSILONS = (-1.0, 0.0, 1.0, 2.0)
CLASSES = ("vehicle", "pedestrian")
PRIOR = 0.1  # the probability that an untrained head gives every cell
GRID = Grid((-6.4, -6.4, -3.0), (6.4, 6.4, 5.0), (0.32, 0.32, 8.0))  # 40 x 40 cells of a CenterPoint-pillar map
BOXES = (
    (-2.0, 1.5, 1.0, 4.7, 2.1, 1.7, 0.3, 0),  # x y z length width height heading label
    (3.5, -2.6, 1.0, 4.5, 2.0, 1.6, 1.5, 0),
    (2.6, 3.0, 0.9, 0.9, 0.9, 1.7, 0.0, 1),
    (3.6, 3.4, 0.9, 0.9, 0.8, 1.7, 0.0, 1),
    (-4.0, -3.5, 0.9, 0.8, 0.8, 1.7, 0.0, 1),
)


def build_example_heatmap() -> tuple[Tensor, Tensor]:
    """Build logits and target heatmap, both (2, 40, 40), of two cars and three walkers, as the assigner draws them.

    The prediction is that of a half-trained network: the prior everywhere, and over it bumps of height
    0.5 that lie one cell off.
    """
    rows = torch.tensor(BOXES)
    count = torch.zeros(len(rows), dtype=torch.int64)
    labels = GroundTruth(
        box=rows[:, :7],
        label=rows[:, 7].long(),
        level=count,
        num_points=count,
        track=np.array([""] * len(rows)),
        speed=torch.zeros(len(rows), 2),
    )
    heatmap = CenterAssigner(GRID, len(CLASSES), TargetsConfig())((labels,)).heatmap[0]
    predicted = PRIOR + 0.5 * heatmap.roll((1, 1), dims=(1, 2))
    return torch.logit(predicted), heatmap


def compute_gradients(logits: Tensor, heatmap: Tensor, epsilon: float) -> Tensor:
    """Compute dL/dlogit of every cell, before any division by the number of objects.

    Args:
        logits: (K, H, W) class logits.
        heatmap: (K, H, W) targets in [0, 1], 1 at the objects' centres.
        epsilon: Poly-1's coefficient.

    Returns:
        (K, H, W) gradient.
    """
    x = logits.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(gaussian_poly1_focal(x, heatmap, epsilon=epsilon).sum(), x)
    return gradient


def background_share(gradient: Tensor, heatmap: Tensor) -> float:
    """The part of sum |gradient| that lies on cells that are no peaks; both arguments have the same shape."""
    size = gradient.abs()
    return float((size * (heatmap < 1)).sum() / size.sum())


def draw_heatmap_gradients() -> Figure:
    """Draw target, prediction, and the gradient at several epsilons; a row per class."""
    logits, heatmap = build_example_heatmap()
    gradients = {epsilon: compute_gradients(logits, heatmap, epsilon) for epsilon in EPSILONS}
    largest = max(float(gradient.abs().max()) for gradient in gradients.values())
    norm = SymLogNorm(linthresh=1e-3, vmin=-largest, vmax=largest)
    figure = create_figure(15, 5.6)
    axes = figure.subplots(len(CLASSES), 2 + len(gradients), sharex=True, sharey=True)
    for k, (name, row) in enumerate(zip(CLASSES, axes, strict=True)):
        for panel, values, title in ((row[0], heatmap[k], "target"), (row[1], logits[k].sigmoid(), "prediction p")):
            panel.imshow(values.numpy(), origin="lower", cmap="magma", vmin=0, vmax=1)
            panel.set_title(f"{name}: {title}", fontsize=10)
        for panel, (epsilon, gradient) in zip(row[2:], gradients.items(), strict=True):
            image = panel.imshow(gradient[k].numpy(), origin="lower", cmap="RdBu_r", norm=norm)
            share = background_share(gradient[k], heatmap[k])
            panel.set_title(f"eps = {epsilon:g}: {share:.0%} background", fontsize=10)
    figure.colorbar(image, ax=axes[:, 2:], label="dL / dlogit (blue raises the score)", shrink=0.85)
    figure.suptitle("Gaussian Poly-1 focal loss: gradient per cell, and how much of its sum lies on background")
    for panel in axes.flat:
        panel.set(xticks=[], yticks=[])
    return figure
