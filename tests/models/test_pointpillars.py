"""PointPillars as a whole: published sizes, settings, and that it learns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from pcdet_poly.config.load import load_config
from pcdet_poly.config.schema import Config
from pcdet_poly.errors import UserError
from pcdet_poly.models import build_recipe
from pcdet_poly.models.summary.model_size import summarize
from tests.tolerances import NETWORK

from .scenes import batch_of, random_points, tiny_config
from .test_centerpoint import boxes_with_points

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
PUBLISHED = {"encoder": 4_640, "backbone": 4_806_400, "head": 27_720}
QUARTERS = {  # of the ground, for each network once
    "pointpillars": ("grid.lower=[-37.12,-37.12,-2]", "grid.upper=[37.12,37.12,4]"),
    "pointpillars_polyloss_vehicle": ("grid.lower=[-42.5,-42.5,-3]", "grid.upper=[42.5,42.5,3]"),
}
TINY_ANCHORS = [
    {"name": "PEDESTRIAN", "size": [0.9, 0.8, 1.7], "bottom_z": -0.8, "matched": 0.5, "unmatched": 0.35},
    {"name": "VEHICLE", "size": [4.4, 1.9, 1.6], "bottom_z": -0.8, "matched": 0.55, "unmatched": 0.4},
]


def tiny(**model: object) -> Config:
    """The tiny detector with an anchor head."""
    slim = {"layers": [1, 1], "strides": [1, 2], "channels": [16, 32], "up_strides": [1, 2], "up_channels": [16, 16]}
    settings = {"kind": "pointpillars", "encoder_channels": [16, 16], "backbone": slim, "anchors": TINY_ANCHORS}
    return tiny_config(model=settings | model, classification={"epsilon": -0.4})


def build(cfg: Config):
    torch.manual_seed(0)
    return build_recipe(cfg)


def changes(name: str, base: str) -> dict[str, object]:
    """Settings in which a config differs from another one."""
    theirs, own = (load_config(CONFIGS / f"{each}.yaml").model_dump() for each in (base, name))
    return {
        f"{section}.{key}": value
        for section, values in own.items()
        for key, value in values.items()
        if value != theirs[section][key]
    }


def test_published_parameter_counts() -> None:
    summary = summarize(load_config(CONFIGS / "pointpillars.yaml"))
    assert summary.parameters == PUBLISHED
    assert summary.total_parameters == 4_838_760
    assert summary.bev_cells == (468, 468)


def test_the_published_settings_are_the_defaults() -> None:
    assert (
        load_config(CONFIGS / "pointpillars.yaml").model
        == Config.model_validate({"model": {"kind": "pointpillars"}}).model
    )


def test_the_100_percent_config_is_the_base_with_every_frame() -> None:
    assert changes("pointpillars_100", "pointpillars") == {"data.train_every": 1}


@pytest.mark.parametrize("name", ["pointpillars_polyloss_vehicle", "pointpillars_polyloss_pedestrian"])
def test_the_papers_recipe(name: str) -> None:
    cfg = load_config(CONFIGS / f"{name}.yaml")
    assert set(changes(name, "pointpillars")) == {
        "data.classes",
        "data.train_every",
        "grid.lower",
        "grid.upper",
        "grid.cell",
        "model.anchors",
        "augment.scale",
    }
    assert cfg.grid.shape == (512, 512, 1)
    assert cfg.model.backbone.output_stride == 1
    summary = summarize(cfg)
    convolutions = [len(stage) // 3 for stage in build_recipe(cfg).model.backbone.stages]
    assert convolutions == [4, 6, 6]
    assert summary.parameters["head"] == 385 * (2 * 1 + 2 * 7 + 2 * 2)


@pytest.mark.slow
@pytest.mark.parametrize("name", QUARTERS)
def test_a_training_step_at_full_width(name: str) -> None:
    """One frame on a quarter of the ground, bfloat16: a finite loss, and a gradient for every parameter.

    The whole ground takes minutes on a processor that has no bfloat16.
    """
    cfg = load_config(CONFIGS / f"{name}.yaml", QUARTERS[name])
    recipe = build(cfg)
    rng = np.random.default_rng(0)
    kinds = {anchor.name: anchor.size for anchor in cfg.model.anchors}
    label = [cfg.data.classes.index(each) for each in kinds]
    box = np.array([[9.0 * i, -7.0 * i, 1, *size, 0.3 * i] for i, size in enumerate(kinds.values())])
    points, truth = boxes_with_points(rng, box, label)
    batch = batch_of([np.concatenate([points, random_points(rng, 3000) * 6])], [truth])
    with torch.autocast("cpu", torch.bfloat16):
        maps = recipe.model(batch)
    assert maps.logit.shape[1] == cfg.grid.shape[0] * cfg.grid.shape[1] * 2 * len(kinds)
    targets = recipe.assign(batch)
    assert set(targets.label.tolist()) == set(label)
    losses = recipe.criterion(maps, targets)
    losses.total.backward()
    gradients = [parameter.grad for parameter in recipe.model.parameters()]
    assert all(gradient is not None and gradient.isfinite().all() for gradient in gradients)
    assert recipe.observe(maps, targets)["p_t/positives"] == pytest.approx(0.01, abs=0.05)
    assert len(recipe.decode(maps)) == 1


@pytest.mark.parametrize("counts", [(300, 0, 200), (0, 0)])
def test_frames_do_not_see_each_other(counts: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    frames = [random_points(rng, n) for n in counts]
    model = build(tiny()).model.eval()
    with torch.no_grad():
        together = model(batch_of(frames))
        for position, points in enumerate(frames):
            alone = model(batch_of([points]))
            for name in ("logit", "code", "direction"):
                torch.testing.assert_close(getattr(together, name)[position], getattr(alone, name)[0], **NETWORK)


def test_channels_last_equals_contiguous() -> None:
    batch = batch_of([random_points(np.random.default_rng(0), 400)])
    last, contiguous = (
        build(tiny().model_copy(update={"train": tiny().train.model_copy(update={"channels_last": flag})}))
        for flag in (True, False)
    )
    with torch.no_grad():
        one, other = last.model.eval()(batch), contiguous.model.eval()(batch)
    for name in ("logit", "code", "direction"):
        torch.testing.assert_close(getattr(one, name), getattr(other, name), **NETWORK)


def test_overfits_a_batch() -> None:
    """After 160 steps exactly the objects of a frame are found, to 0.2 m and 0.1 rad, fronts in front.

    Every anchor is told whether it is a positive: one frame teaches nothing about those left out.
    """
    box = np.array([[-5, -3, 0, 4.2, 1.9, 1.6, 0.4], [4, 3, 0, 4.6, 2.0, 1.7, -2.5], [3, -5, 0.2, 0.9, 0.8, 1.7, 1.0]])
    points, truth = boxes_with_points(np.random.default_rng(0), box, [0, 0, 1])
    batch = batch_of([points, random_points(np.random.default_rng(1), 200)], [truth, truth[:0]])
    recipe = build(tiny(anchors=[each | {"matched": 0.4, "unmatched": 0.4} for each in TINY_ANCHORS]))
    optimizer = torch.optim.Adam(recipe.model.parameters(), lr=1e-2)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.02, total_iters=160)
    for _ in range(160):
        losses = recipe.criterion(recipe.model(batch), recipe.assign(batch))
        optimizer.zero_grad()
        losses.total.backward()
        optimizer.step()
        schedule.step()
    found, nothing = (each[each.score > 0.5].numpy() for each in recipe.decode(recipe.model(batch)))
    assert len(nothing) == 0
    assert sorted(found.label.tolist()) == [0, 0, 1]
    for wanted, label in zip(box, [0, 0, 1], strict=True):
        error = np.abs(found.box[found.label == label] - wanted)
        error[:, 6] = np.abs((error[:, 6] + np.pi) % (2 * np.pi) - np.pi)
        nearest = error[error[:, :2].sum(1).argmin()]
        assert nearest[:6].max() < 0.2
        assert nearest[6] < 0.1


@pytest.mark.parametrize(
    ("override", "reason"),
    [
        ("data.classes=[VEHICLE]", "PEDESTRIAN is not one of data.classes"),
        ("data.classes=[VEHICLE,PEDESTRIAN,CYCLIST,SIGN]", "none for SIGN of data.classes"),
        ("model.anchors=[{name: A, size: [1, 1, 1], matched: 0.3, unmatched: 0.4}]", "unmatched = 0.4 <= matched"),
        ("model.anchors=[{name: A, siz: [1, 1, 1]}]", r"model.anchors.size: needed"),
        ("model.direction_bins=3", "multiple of 2"),
        ("model.yaws_rad=[]", "at least 1"),
        ("regression.weight=1", "pointpillars has its own under `model`"),
        ("grid.cell=[0.64, 0.64, 6]", "not a multiple of the backbone's total stride"),
        ("classification.epsilon=[1, 2]", "2 numbers for 3 classes"),
    ],
)
def test_settings_that_make_no_sense_are_refused(override: str, reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        load_config(CONFIGS / "pointpillars.yaml", [override])


def test_two_entries_for_a_class_are_refused() -> None:
    with pytest.raises(ValueError, match="2 entries for VEHICLE"):
        tiny(anchors=[*TINY_ANCHORS, TINY_ANCHORS[1]])
