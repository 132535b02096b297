"""Values and gradients of the public loss functions on fixed inputs, one digest per function.

    python -m benchmarks.trace.losses OUTPUT.json

The digests stand under the names that the functions had when this was written: where one is renamed, change the right
side of its line in `FUNCTIONS` and keep the left one. Criteria, and what observes them, are traced by training runs.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor

from benchmarks.trace import loss_inputs as inputs
from benchmarks.trace.digest import digest_tensors
from pcdet_poly import losses
from pcdet_poly.config.load import load_config

Settings = list[dict[str, Any]]  # keyword arguments of several calls


def vary(name: str, *values: Any) -> Settings:
    """One call per value of the argument `name`."""
    return [{name: value} for value in values]


def combine(*settings: Settings) -> Settings:
    """Every call of one list with every call of the others."""
    return [{name: value for part in parts for name, value in part.items()} for parts in product(*settings)]


PER_CLASS = torch.tensor([0.3, -0.7, 1.5])
GAMMA = vary("gamma", 0.0, 0.5, 1.0, 2.0, 3.0)
ALPHA = vary("alpha", None, 0.25)
SOFT = vary("soft", "mix", "pt")
EPSILON = vary("epsilon", -1.0, -0.4, 0.0, 0.7, 2.5)
EPSILON_OR_TENSOR = [*EPSILON, {"epsilon": PER_CLASS}]
EPSILONS = vary("epsilons", (), (1.0,), (-1.0, -0.5), (0.5, -0.3, 2.0), (0.5, PER_CLASS))
EPSILONS_OF_LABELS = vary("epsilons", (), (1.0,), (-1.0, -0.5), (0.5, -0.3, 2.0))
TERMS = vary("num_terms", 1, 2, 5)
SMOOTHING = vary("label_smoothing", 0.0, 0.1)
EXPONENTS = [{"alpha": 2.0, "beta": 4.0}, {"alpha": 3.0, "beta": 1.0}, {"alpha": 0.5, "beta": 4.0}]

# Settings of `classification`, as a config file has them.
CONFIGURED: Settings = [
    {"epsilon": 0.0},
    {"epsilon": 1.0, "background_weight": 0.5},
    {"epsilon": [1.0, -0.5, 0.25], "schedule": "linear", "schedule_until": 0.8},
    {"epsilon": 1.0, "epsilon_background": [2.0, 0.0, -1.0], "schedule": "cosine"},
    {"epsilon": 2.0, "applies_to": "positives"},
    {"epsilon": 2.0, "applies_to": "background"},
    {"epsilons": [0.5, -0.5, 1.0]},
    {"num_terms": 3},
    {"epsilon": -2.0, "allow_non_monotone": True, "alpha": 0.5},
]
SIGMOID: Settings = [
    *CONFIGURED,
    {"epsilon": 1.0, "balance_epsilon": False},
    {"epsilon": 1.0, "alpha": None, "gamma": 0.5},
]
PROGRESS = vary("progress", 0.0, 0.3, 1.0)


def read_losses(kind: str, sections: Iterable[Mapping[str, Any]]) -> Settings:
    """One call per `classification` section of a detector of this kind, its setting the validated section."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "detector.yaml"
        path.write_text(f"model: {{kind: {kind}}}\n")
        configs = [load_config(path, [f"classification={json.dumps(section)}"]) for section in sections]
    return [{"cfg": config.classification} for config in configs]


# Name -> function, inputs, settings of the calls.
FUNCTIONS: dict[str, tuple[Callable[..., Tensor], Callable[[], Iterator[tuple[Tensor, ...]]], Settings]] = {
    "poly1_focal": (losses.poly1_focal, inputs.sigmoid, combine(GAMMA, ALPHA, SOFT, EPSILON_OR_TENSOR)),
    "poly_n_focal": (losses.poly_n_focal, inputs.sigmoid, combine(GAMMA, ALPHA, SOFT, EPSILONS)),
    "drop_n_focal": (losses.drop_n_focal, inputs.sigmoid, combine(GAMMA, ALPHA, SOFT, TERMS)),
    "poly1_focal_unweighted": (losses.poly1_focal_unweighted, inputs.sigmoid, combine(GAMMA, ALPHA[1:], EPSILON)),
    "gaussian_poly1_focal": (losses.gaussian_poly1_focal, inputs.heatmap, combine(EXPONENTS, EPSILON_OR_TENSOR)),
    "gaussian_poly_n_focal": (losses.gaussian_poly_n_focal, inputs.heatmap, combine(EXPONENTS, EPSILONS)),
    "gaussian_drop_n_focal": (losses.gaussian_drop_n_focal, inputs.heatmap, combine(EXPONENTS, TERMS)),
    "poly1_cross_entropy": (losses.poly1_cross_entropy, inputs.softmax, combine(EPSILON, SMOOTHING)),
    "poly_n_cross_entropy": (losses.poly_n_cross_entropy, inputs.softmax, combine(EPSILONS_OF_LABELS, SMOOTHING)),
    "drop_n_cross_entropy": (losses.drop_n_cross_entropy, inputs.softmax, combine(TERMS, SMOOTHING)),
    "poly1_softmax_focal": (losses.poly1_softmax_focal, inputs.softmax, combine(GAMMA, EPSILON)),
    "poly_n_softmax_focal": (losses.poly_n_softmax_focal, inputs.softmax, combine(GAMMA, EPSILONS_OF_LABELS)),
    "drop_n_softmax_focal": (losses.drop_n_softmax_focal, inputs.softmax, combine(GAMMA, TERMS)),
    "heatmap_loss": (
        losses.heatmap_loss,
        inputs.maps,
        combine(read_losses("centerpoint_pillar", CONFIGURED), PROGRESS),
    ),
    "sigmoid_loss": (losses.sigmoid_loss, inputs.hard, combine(read_losses("pointpillars", SIGMOID), PROGRESS)),
    "l1": (losses.l1, inputs.codes, [{}]),
    "residual_difference": (losses.residual_difference, inputs.codes, [{}]),
    "smooth_l1": (losses.smooth_l1, inputs.differences, vary("beta", 1 / 9, 1.0)),
    "at_cells": (losses.gather_cells, inputs.cells, [{}]),
}


def main() -> None:
    """Write the digests of all functions to the file that the command line names."""
    torch.set_num_threads(1)
    found = {
        name: digest_tensors(tensor for given in settings for tensor in evaluate(partial(function, **given), make()))
        for name, (function, make, settings) in FUNCTIONS.items()
    }
    Path(sys.argv[1]).write_text(json.dumps(found))


def evaluate(call: Callable[..., Tensor], arguments: Iterable[Sequence[Tensor]]) -> Iterator[Tensor]:
    """Value of `call` for each tuple of arguments, and the gradient of its weighted sum by the first of them."""
    for first, *others in arguments:
        leaf = first.clone().requires_grad_()
        value = call(leaf, *others)
        weights = torch.linspace(0.5, 1.5, value.numel(), dtype=value.dtype).reshape(value.shape)
        (gradient,) = torch.autograd.grad(value, leaf, weights)
        yield value
        yield gradient


if __name__ == "__main__":
    main()
