"""What test_processes.py runs in two processes at once and, with batches twice as large, in one: `FOLDER STORE`."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from conftest import TINY
from torch import Tensor, nn

from pcdet_poly.config.schema import Config
from pcdet_poly.config.sections.losses import HeatmapFocalConfig
from pcdet_poly.data.load.dataset import FrameDataset
from pcdet_poly.data.load.loader import load_training_batches
from pcdet_poly.distributed import (
    broadcast_from_first,
    compute_loss_weights,
    gather_to_first,
    is_set_in_any_process,
    rank,
    world_size,
)
from pcdet_poly.engine import train as loop
from pcdet_poly.engine.frames import open_training_frames
from pcdet_poly.engine.processes import average_gradients, join_processes
from pcdet_poly.engine.start import prepare_run
from pcdet_poly.engine.state import build_seeded_recipe
from pcdet_poly.losses.classification import heatmap_loss
from pcdet_poly.losses.gradient_match import MatchedLoss
from pcdet_poly.models.layers.sparse_layers import SparseNorm
from pcdet_poly.models.layers.sync_norm import synchronize_norms

CPU = torch.device("cpu")
STOP_BEFORE = 5  # step, counted from 1
MODELS: dict[str, dict[str, Any]] = {
    "pillar": {},
    "voxel": {
        "grid": {"lower": [-12.8, -12.8, -2], "upper": [12.8, 12.8, 4], "cell": [0.8, 0.8, 0.25]},
        "model": {
            "kind": "centerpoint_voxel",
            "channels": [4, 4, 4],
            "layers": [1, 1, 1],
            "out_channels": 4,
            "backbone": {"layers": [1], "strides": [1], "channels": [8], "up_strides": [1], "up_channels": [8]},
            "head_width": 4,
        },
    },
    "rsn": {
        "data": {"classes": ["VEHICLE"]},
        "model": {
            "kind": "rsn",
            "image": {"rows": 8, "columns": 64, "blocks": [1, 1], "channels": [4, 8], "strides": [1, 2]},
            "channels": 8,
            "blocks": ["B1", "B0/2"],
        },
    },
}


def config_of(store: str | Path, model: str = "pillar", **train: Any) -> Config:
    other = MODELS[model]
    data = TINY["data"] | {"train": [str(store)], "val": [str(store)]} | other.get("data", {})
    evaluation = {"batch_size": 2, "pictures": 2}
    train = TINY["train"] | {"log_every": 1} | train
    return Config.model_validate(TINY | other | {"data": data, "evaluation": evaluation, "train": train})


def norm_cases() -> Iterator[tuple[nn.Module, tuple[Tensor, Tensor]]]:
    """A batch norm and the batches of two processes: of unequal size, one of them empty, far from zero, images."""
    generator = torch.Generator().manual_seed(5)
    for kind, *sizes in (
        (nn.BatchNorm1d, (7, 3), (2, 3)),
        (nn.BatchNorm1d, (9, 3), (0, 3)),
        (nn.BatchNorm2d, (2, 3, 4, 5), (1, 3, 4, 5)),
        (SparseNorm, (1, 3), (4, 3)),
    ):
        norm = kind(3)
        with torch.no_grad():
            norm.weight.copy_(torch.tensor([0.5, -2.0, 1.0]))
        yield norm, tuple(torch.randn(size, generator=generator) * 3 + 50 for size in sizes)


def through(norm: nn.Module, values: Tensor) -> dict[str, Tensor]:
    """Output, gradients and running statistics of a step whose loss is a sum over all values."""
    values = values.clone().requires_grad_()
    output = norm(values)
    (output * torch.linspace(-1, 2, 3).view(-1, *[1] * (values.dim() - 2))).sin().sum().backward()
    gradients = {"values": values.grad, "weight": norm.weight.grad, "bias": norm.bias.grad}
    return {"output": output.detach(), **gradients, **dict(norm.named_buffers())}


def gradients_of_steps(config: Config, frames: FrameDataset) -> list[dict[str, Tensor]]:
    """Losses, gradients and batch norm's statistics of each step of an epoch, all at the first weights."""
    found = []
    steps = load_training_batches(config, frames, epoch=0, rank=rank(), world_size=world_size())
    for batch in steps:
        recipe = build_seeded_recipe(config, CPU)
        if world_size() > 1:
            synchronize_norms(recipe.model)
        recipe.model.train()
        maps, targets = recipe.model(batch), recipe.assign(batch)
        (weight,) = compute_loss_weights([recipe.counts(targets)])
        parts = {name: loss * weight.get(name, 1) for name, loss in recipe.criterion(maps, targets).parts.items()}
        sum(parts.values()).backward()
        average_gradients(recipe.model)
        gradients = {name: parameter.grad for name, parameter in recipe.model.named_parameters()}
        found.append({**gradients, **dict(recipe.model.named_buffers()), **{k: v.detach() for k, v in parts.items()}})
    return found


def matched_steps(part: slice) -> list[dict[str, Tensor]]:
    """What a matched loss has measured, and its weights, after each of four steps on these frames of two."""
    generator = torch.Generator().manual_seed(3)
    cfg = HeatmapFocalConfig(epsilon=2.0, match="step", match_apart=True)
    loss, found = MatchedLoss(heatmap_loss, cfg), []
    for step in range(4):
        logits = torch.randn((2, 3, 8, 8), generator=generator) - step
        target = torch.rand((2, 3, 8, 8), generator=generator)
        target[target > 0.9] = 1
        loss(logits[part], target[part], cfg, progress=1.0)
        assert loss.sums is not None
        found.append({"sums": loss.sums, "weights": loss.compute_weights()})
    return found


def train_in(folder: Path, config: Config) -> None:
    frames = open_training_frames(config)
    run, recipe = prepare_run(config, frames, folder, CPU, resume=True)
    loop.train(run, recipe, frames, frames)


def stopped_and_resumed(folder: Path, config: Config) -> bool:
    """Ask one process alone to stop, then go on; whether all had stopped."""
    real = loop.stop_if_asked_anywhere
    calls = 0
    requests = []

    def check(stop: Any) -> None:
        nonlocal calls
        calls += 1
        requests.append(stop)
        if rank() == 1 and calls == STOP_BEFORE:
            stop.note(signal.SIGINT)
        real(stop)

    loop.stop_if_asked_anywhere = check
    stopped = False
    try:
        train_in(folder, config)
    except KeyboardInterrupt:
        stopped = True
        requests[-1].signum = None  # in life another process goes on, which nobody asked
    loop.stop_if_asked_anywhere = real
    train_in(folder, config)
    return stopped


def small_things() -> dict[str, Any]:
    model = nn.ParameterDict({name: nn.Parameter(torch.ones(2)) for name in ("both", "one", "none")})
    model["both"].grad = torch.tensor([1.0, 2.0]) * (1 + rank())
    if rank() == 1:
        model["one"].grad = torch.tensor([4.0, 6.0])
    average_gradients(model)
    return {
        "gradients": {name: parameter.grad for name, parameter in model.items()},
        "weights": compute_loss_weights(
            [{"a": torch.tensor(3 * rank()), "b": torch.tensor(0)}, {"a": torch.tensor(1), "b": torch.tensor(0)}]
        ),
        "anywhere": [is_set_in_any_process(rank() == 1), is_set_in_any_process(False)],
        "from_first": broadcast_from_first(f"process {rank()}"),
        "gathered": gather_to_first(rank() + 10),
    }


def main(folder: Path, store: str) -> None:
    with join_processes("cpu"):
        results: dict[str, Any] = {"small": small_things(), "norms": []}
        for norm, values in norm_cases():
            synchronize_norms(norm)
            results["norms"].append(through(norm, values[rank()]))
        for model in MODELS:
            config = config_of(store, model, batch_size=1)
            results[model] = gradients_of_steps(config, open_training_frames(config))
        results["matched"] = matched_steps(slice(rank(), rank() + 1))
        config = config_of(store, batch_size=1)
        train_in(folder / "two", config)
        results["stopped"] = stopped_and_resumed(folder / "parts", config)
        train_in(folder / "alone", config_of(store, batch_size=1, sync_norm=False, epochs=1))
        torch.save(results, folder / f"process_{rank()}.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
