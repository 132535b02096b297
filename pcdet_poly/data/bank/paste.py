"""Objects of other frames, put into a training frame where they were seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from pcdet_poly.config.sections.data import PasteConfig
from pcdet_poly.data.bank.bank_file import BankObject
from pcdet_poly.data.bank.object_bank import ObjectBank
from pcdet_poly.ops.arrays.iou import pairwise_iou
from pcdet_poly.ops.arrays.points_in_boxes import first_box
from pcdet_poly.structures import Frame, GroundTruth


@dataclass(frozen=True)
class Paster:
    """A bank and what to take from it."""

    bank: ObjectBank
    pools: tuple[tuple[str, int, np.ndarray], ...]  # class, how many to draw, positions in the bank to draw from
    fill: bool
    min_points: int
    returns: tuple[int, ...]


def open_paster(cfg: PasteConfig, classes: Sequence[str], returns: Sequence[int]) -> Paster:
    """Open the bank that `cfg` names, and choose the objects that may be pasted."""
    bank = ObjectBank(Path(cfg.bank).expanduser())
    select = partial(bank.select, min_points=cfg.min_points, max_level=cfg.max_level, every=cfg.every)
    pools = tuple((name, count, select(name)) for name, count in zip(classes, cfg.objects, strict=True) if count)
    return Paster(bank, pools, cfg.fill, cfg.min_points, tuple(returns))


def paste_objects(frame: Frame, rng: np.random.Generator, paster: Paster) -> Frame:
    """A new frame with objects from the bank, drawn from `rng`, at the places where their own frames had them.

    An object whose box overlaps, seen from above, that of a labelled object or of one pasted before it is
    left out. Points of the frame inside a pasted box go. Columns that the bank does not have are 0: with several
    sweeps, pasted points are of the newest.
    """
    drawn = draw_objects(frame, rng, paster)
    drawn = drawn[find_free_boxes(paster.bank.read_boxes(drawn), frame.ground_truth.box)]
    objects = [select_object_returns(paster.bank[int(index)], paster) for index in drawn]
    objects = [o for o in objects if len(o.points) >= paster.min_points]
    if not objects:
        return frame
    covered = first_box(frame.points, np.stack([o.box for o in objects])) >= 0
    pasted = np.zeros((sum(len(o.points) for o in objects), len(frame.columns)), np.float32)
    values = np.concatenate([o.points for o in objects])
    for i, name in enumerate(get_point_columns(paster.bank)):
        if name in frame.columns:
            pasted[:, frame.columns.index(name)] = values[:, i]
    return replace(
        frame,
        points=np.concatenate([frame.points.compress(~covered, axis=0), pasted]),
        ground_truth=GroundTruth.concatenate([frame.ground_truth, make_labels(objects, frame, paster.bank)]),
    )


def draw_objects(frame: Frame, rng: np.random.Generator, paster: Paster) -> np.ndarray:
    """(M,) int64 positions in the bank, class by class. An object drawn twice collides with itself."""
    drawn = [np.zeros(0, np.int64)]
    for name, count, pool in paster.pools:
        if paster.fill:
            of_class = frame.ground_truth.label == frame.class_names.index(name)
            count -= int((of_class & (frame.ground_truth.num_points > 0)).sum())
        if count > 0 and len(pool):
            drawn.append(pool[rng.integers(len(pool), size=count)])
    return np.concatenate(drawn)


def find_free_boxes(box: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(M,) bool: which boxes (M, 7), seen from above, overlap none of `others` (N, 7) and none chosen before them."""
    chosen = np.zeros(len(box), bool)
    possible = ~(pairwise_iou(box, others, False) > 0).any(axis=1)
    overlaps = pairwise_iou(box, box, False) > 0
    for i in np.flatnonzero(possible):
        chosen[i] = not (overlaps[i] & chosen).any()
    return chosen


def get_point_columns(bank: ObjectBank) -> tuple[str, ...]:
    """Names of the columns of `BankObject.points`."""
    return ("x", "y", "z", *bank.header.features)


def select_object_returns(found: BankObject, paster: Paster) -> BankObject:
    """An object with its points of the wanted LiDAR returns; all of them where the bank does not say."""
    columns = get_point_columns(paster.bank)
    if "return_number" not in columns:
        return found
    wanted = np.isin(found.points[:, columns.index("return_number")], paster.returns)
    return replace(found, points=found.points[wanted])


def make_labels(objects: Sequence[BankObject], frame: Frame, bank: ObjectBank) -> GroundTruth:
    """Labels of pasted objects. Speeds are those along the vehicle's axes, turned into the world of `frame`."""
    velocity = np.array([o.velocity for o in objects], np.float64)
    return GroundTruth(
        box=np.stack([o.box for o in objects]),
        label=np.array([frame.class_names.index(bank.header.class_names[o.label]) for o in objects]),
        level=np.array([o.level for o in objects]),
        num_points=np.array([len(o.points) for o in objects]),
        track=np.full(len(objects), "pasted"),
        speed=(velocity @ frame.world_from_vehicle[:2, :2].T).astype(np.float32),
    )
