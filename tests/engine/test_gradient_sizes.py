"""Logged gradient sizes against gradients taken by hand, and losses matched in size while they train."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from pcdet_poly.config.schema import Config
from pcdet_poly.data.load.loader import load_training_batches
from pcdet_poly.engine import train as loop
from pcdet_poly.engine.checkpoint import load_checkpoint
from pcdet_poly.engine.frames import open_training_frames
from pcdet_poly.engine.gradient_sizes import GradientSizes
from pcdet_poly.engine.run import Run
from pcdet_poly.engine.start import prepare_run
from pcdet_poly.engine.state import build_seeded_recipe
from pcdet_poly.models import Recipe
from tests.engine.test_train import stop_before
from tests.tolerances import FLOAT32_SUM

CPU = torch.device("cpu")


def train_in(folder: Path, config: Config) -> Run:
    frames = open_training_frames(config)
    run, recipe = prepare_run(config, frames, folder, CPU, resume=True)
    loop.train(run, recipe, frames, None)
    return run


def change_kind(config: Config, kind: str) -> Config:
    model = {"encoder_channels": (4, 4), "backbone": config.model.backbone.model_dump(), "kind": kind}
    return Config.model_validate(
        config.model_dump(exclude={"model", "regression", "classification"}) | {"model": model}
    )


def change_loss(config: Config, **settings: Any) -> Config:
    loss = type(config.classification).model_validate(config.classification.model_dump() | settings)
    return config.model_copy(update={"classification": loss})


def run_once(config: Config) -> tuple[Recipe, Any, dict[str, torch.Tensor]]:
    recipe = build_seeded_recipe(config, CPU)
    batch = next(iter(load_training_batches(config, open_training_frames(config), epoch=0)))
    maps = recipe.model(batch)
    return recipe, maps, recipe.criterion(maps, recipe.assign(batch)).parts


@pytest.mark.parametrize(("kind", "loss"), [("centerpoint_pillar", "heatmap"), ("pointpillars", "class")])
def test_sizes_are_those_of_gradients_taken_apart(tiny, kind: str, loss: str) -> None:
    """One backward pass for each kind of losses; the trunk's last shared layer is found by hand, too."""
    config = change_kind(tiny(), kind)
    recipe, maps, losses = run_once(config)
    sizes = GradientSizes(recipe.model).measure(maps, losses)
    box = sum(one for name, one in losses.items() if name != loss)
    by_hand = {}
    for name, total in (("classification", losses[loss]), ("box", box)):
        recipe.model.zero_grad()
        total.backward(retain_graph=True)
        by_hand[name] = {
            key: p.grad.clone()
            for key, p in recipe.model.named_parameters()
            if p.grad is not None and p.grad.count_nonzero()
        }
    last = [key for key, _ in recipe.model.named_parameters() if all(key in found for found in by_hand.values())][-1]
    norms = {name: float(found[last].norm()) for name, found in by_hand.items()}
    assert min(norms.values()) > 0
    assert sizes["gradient/trunk/classification"] == pytest.approx(norms["classification"], rel=FLOAT32_SUM)
    assert sizes["gradient/trunk/ratio"] == pytest.approx(norms["classification"] / norms["box"], rel=FLOAT32_SUM)
    logits = maps.heatmap if loss == "heatmap" else maps.logit
    (slope,) = torch.autograd.grad(losses[loss], logits, retain_graph=True)
    assert sizes["gradient/logits/classification"] == pytest.approx(float(slope.abs().sum()), rel=FLOAT32_SUM)
    scaled = GradientSizes(recipe.model).measure(maps, losses, scale=1024.0)
    # 1,024 is a power of two: what differs is the order of sums.
    assert scaled == pytest.approx(sizes, rel=1e-4)


def test_a_batch_without_an_object_does_not_say_what_is_shared(tiny) -> None:
    recipe, maps, losses = run_once(tiny())
    sizes = GradientSizes(recipe.model)
    empty = {name: loss if name == "heatmap" else loss * 0 for name, loss in losses.items()}
    assert not any(name.startswith("gradient/trunk") for name in sizes.measure(maps, empty))
    assert sizes.measure(maps, losses) == GradientSizes(recipe.model).measure(maps, losses)


def test_measuring_changes_no_bit_of_a_training(tmp_path: Path, tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    with_sizes = train_in(tmp_path / "a", tiny())
    monkeypatch.setattr(GradientSizes, "measure", lambda *_, **__: {})
    without = train_in(tmp_path / "b", tiny())
    one, other = (load_checkpoint(run.find_checkpoint("last")).model for run in (with_sizes, without))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_the_share_of_clipped_steps_is_logged(tmp_path: Path, tiny) -> None:
    for clip_norm, share in ((1e-6, 1.0), (1e9, 0.0)):
        run = train_in(tmp_path / str(clip_norm), tiny(clip_norm=clip_norm))
        assert {line["clipped_steps"] for line in run.read_log() if line["event"] == "step"} == {share}


def test_a_matched_loss_trains_at_the_size_of_the_plain_one(tmp_path: Path, tiny) -> None:
    config = change_loss(tiny(log_every=1), epsilon=2.0, match="step")
    lines = [line for line in train_in(tmp_path / "a", config).read_log() if line["event"] == "step"]
    weights = [line["match/heatmap/all"] for line in lines]
    assert all(0.3 < weight < 0.7 for weight in weights)  # 1 / (1 + 3 eps (1 - p) / ...): between a third and one
    assert len(set(weights)) > 1  # it follows the network
    start = change_loss(tiny(log_every=1), epsilon=2.0, match="start")
    lines = [line for line in train_in(tmp_path / "b", start).read_log() if line["event"] == "step"]
    assert {line["match/heatmap/all"] for line in lines} == {weights[0]}


def test_a_resumed_run_goes_on_with_what_was_measured(tmp_path: Path, tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    config = change_loss(tiny(log_every=1), epsilon=-1.0, match="step", match_apart=True)
    whole = train_in(tmp_path / "whole", config)
    with monkeypatch.context() as patch:
        stop_before(patch, 4, KeyboardInterrupt)
        with pytest.raises(KeyboardInterrupt):
            train_in(tmp_path / "parts", config)
    parts = train_in(tmp_path / "parts", config)
    assert list(parts.read_log()) == list(whole.read_log())
    saved = load_checkpoint(parts.find_checkpoint("last")).matched["heatmap"]["sums"]
    assert saved.shape == (2, 2)
