"""How well RSN's 3D part alone finds boxes: trained and evaluated on the points of labelled boxes.

    python -m benchmarks.rsn_boxes TRAINING_STORE VALIDATION_STORE [--config CONFIG] [--steps N] [key=value ...]

Range, intensity and elongation take the place of the range image's features, and no other point has to be kept out. A
step costs a sixth of the whole network's, so that settings of the head can be compared over trainings of full length.
Prints AP at LEVEL_1, also with parts of the boxes from their labels, and errors, as benchmarks.ap_by_part does.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from benchmarks.ap_by_part import match_detections, print_errors, replace_parts
from pcdet_poly.config.load import load_config
from pcdet_poly.config.schema import Config
from pcdet_poly.config.sections.rsn import RsnConfig
from pcdet_poly.data.load.augment import augment
from pcdet_poly.data.load.collate import collate, relabel_objects
from pcdet_poly.data.load.dataset import FrameDataset
from pcdet_poly.data.load.prepare_frame import prepare_frame
from pcdet_poly.engine.optim import build_optimizer, set_rates
from pcdet_poly.engine.state import build_seeded_recipe
from pcdet_poly.evaluation import evaluate
from pcdet_poly.models import Recipe
from pcdet_poly.models.recipe import make_grid
from pcdet_poly.models.rsn import Rsn
from pcdet_poly.ops.points_in_boxes import points_in_boxes
from pcdet_poly.structures import Batch, Detections, Frame

PARTS = {"as they are": [], "z": [2], "height": [5], "z and height": [2, 5]}


class ImageAsFeatures(nn.Module):
    """A range image (I, 3, H, W) filled up with zeros to the features that its network would give."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, image: Tensor) -> Tensor:
        """Fill up to (I, channels, H, W)."""
        return pad(image, (0, 0, 0, 0, 0, self.channels - image.shape[1]))


class RsnOfGivenPoints(Rsn):
    """RSN without its image network, which takes every point that it is given."""

    def __init__(self, cfg: Config) -> None:
        assert isinstance(cfg.model, RsnConfig)
        super().__init__(cfg.model, make_grid(cfg.grid), point_channels=cfg.data.point_channels)
        self.backbone = ImageAsFeatures(cfg.model.image.out_channels)  # type: ignore[assignment]

    def _choose_points(self, logit: Tensor, batch: Batch) -> Tensor:
        return torch.arange(len(logit))


def main() -> None:
    """Read, train, evaluate, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stores", nargs=2, metavar="STORE")
    parser.add_argument("overrides", nargs="*", metavar="key=value")
    parser.add_argument("--config", default="configs/simulated_rsn_vehicle.yaml")
    parser.add_argument("--steps", type=int, default=900)
    given = parser.parse_intermixed_args()
    cfg = load_config(given.config, given.overrides)
    torch.set_num_threads(1)
    training, validation = (read_objects(store, cfg) for store in given.stores)
    recipe = train(cfg, training, given.steps)
    report(cfg, recipe, validation)


def read_objects(store: str, cfg: Config) -> list[Frame]:
    """Read a store's frames, each with the points in boxes of the config's class alone."""
    dataset, frames = FrameDataset([store]), []
    for i in range(len(dataset)):
        frame = prepare_frame(dataset[i], (), cfg)
        box = relabel_objects(frame, cfg.data.classes).box
        inside = points_in_boxes(torch.from_numpy(frame.points[:, :3].copy()), torch.from_numpy(box)) >= 0
        frames.append(replace(frame, points=frame.points[inside.numpy()]))
    return frames


def train(cfg: Config, frames: list[Frame], steps: int) -> Recipe:
    """Train the 3D part on batches of frames in random order."""
    recipe = build_seeded_recipe(cfg, torch.device("cpu"))
    recipe = replace(recipe, model=RsnOfGivenPoints(cfg))
    for module in recipe.model.modules():
        if isinstance(module, nn.BatchNorm1d) and cfg.train.norm_momentum is not None:
            module.momentum = cfg.train.norm_momentum
    optimizer = build_optimizer(recipe.model, cfg.train)
    recipe.model.train()
    for step, batch in zip(range(steps), draw_batches(cfg, frames), strict=False):
        set_rates(optimizer, step, steps, cfg.train)
        losses = recipe.criterion(recipe.model(batch), recipe.assign(batch))
        optimizer.zero_grad(set_to_none=True)
        (losses.total - losses.parts["segmentation"]).backward()
        nn.utils.clip_grad_norm_(recipe.model.parameters(), cfg.train.clip_norm)
        optimizer.step()
    return recipe


def draw_batches(cfg: Config, frames: list[Frame]) -> Iterator[Batch]:
    """Draw augmented batches without end; every frame once before any comes again."""
    assert isinstance(cfg.model, RsnConfig)
    rng, size = np.random.default_rng(cfg.train.seed), cfg.train.batch_size
    while True:
        order = rng.permutation(len(frames))
        for start in range(0, len(order) - size + 1, size):
            chosen = [augment(frames[i], rng, cfg.augment) for i in order[start : start + size]]
            yield collate(chosen, cfg.data.classes, cfg.model.image)


@torch.no_grad()
def report(cfg: Config, recipe: Recipe, frames: list[Frame]) -> None:
    """Print AP, as found and with parts of the boxes from their labels, and errors."""
    assert isinstance(cfg.model, RsnConfig)
    recipe.model.eval()
    batches = (collate([frame], cfg.data.classes, cfg.model.image) for frame in frames)
    found: list[Detections] = [recipe.decode(recipe.model(batch))[0].numpy() for batch in batches]
    truth = [relabel_objects(frame, cfg.data.classes) for frame in frames]
    matches = [match_detections(*pair) for pair in zip(found, truth, strict=True)]
    row = f"OBJECT_TYPE_TYPE_{cfg.data.classes[0]}_LEVEL_1"
    print("| of the label | BEV | 3D |\n|---|---|---|")
    for name, columns in PARTS.items():
        mended = [replace_parts(*each, columns) for each in zip(found, truth, matches, strict=True)]
        within = cfg.evaluation.within
        table = evaluate(mended, truth, cfg.evaluation.metrics, class_names=cfg.data.classes, within=within)
        print(f"| {name} | {100 * table['BEV'][row]['ap']:.1f} | {100 * table['3D'][row]['ap']:.1f} |", flush=True)
    print_errors(found, truth, matches, 0)


if __name__ == "__main__":
    main()
