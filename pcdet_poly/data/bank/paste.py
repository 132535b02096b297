"""Pastes objects of other frames into a training frame, where their own frames had them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from pcdet_poly.config.sections.data import PasteConfig
from pcdet_poly.data.bank.bank_file import BankObject
from pcdet_poly.data.bank.object_bank import ObjectBank
from pcdet_poly.ops.arrays.iou import pairwise_iou
from pcdet_poly.ops.arrays.points_in_boxes import first_box
from pcdet_poly.structures import Frame, GroundTruth

Collision = Literal["later", "earlier", "both"]


@dataclass(frozen=True)
class Paster:
    """A bank, and which of its objects are pasted how often."""

    bank: ObjectBank
    pools: tuple[tuple[str, int, np.ndarray], ...]  # class, how many to draw, positions in the bank to draw from
    fill: bool
    min_points: int
    returns: tuple[int, ...]
    collision: Collision = "later"
    clearance_m: tuple[float, float, float] | None = (0.0, 0.0, 0.0)  # None: the frame's points stay


def open_paster(cfg: PasteConfig, classes: Sequence[str], returns: Sequence[int]) -> Paster:
    """Open the bank that `cfg` names, and choose the objects that may be pasted.

    Args:
        cfg: the section `paste` of the settings.
        classes: the model's classes, in the order of `cfg.objects`.
        returns: LiDAR returns to keep of pasted objects: 1, 2 or both.

    Raises:
        UserError: if the bank cannot be read, or lacks a class.
    """
    bank = ObjectBank(Path(cfg.bank).expanduser())
    select = partial(bank.select, min_points=cfg.min_points, max_level=cfg.max_level)
    every = cfg.every if isinstance(cfg.every, tuple) else (cfg.every,) * len(classes)
    wanted = [one for one in zip(classes, cfg.objects, every, strict=True) if one[1]]
    pools = tuple((name, count, select(name, every=step)) for name, count, step in wanted)
    return Paster(bank, pools, cfg.fill, cfg.min_points, tuple(returns), cfg.collision, cfg.clearance_m)


def paste_objects(frame: Frame, rng: np.random.Generator, paster: Paster) -> Frame:
    """Return a new frame with objects from the bank at the positions that they had in their own frames.

    An object is left out if its box overlaps, seen from above, that of a labelled object or of another class's that
    was pasted before it; of two of its class that overlap, `paster.collision` says which. Points of the frame inside a
    pasted box, larger by `paster.clearance_m`, are removed, and stay where that is None. Columns that the bank does
    not have are 0: with several sweeps, pasted points belong to the newest.

    Args:
        frame: the training frame, which is not changed.
        rng: source of the random choice of objects.
        paster: what to paste.
    """
    drawn = draw_objects(frame, rng, paster)
    box, label = paster.bank.read_boxes(drawn), paster.bank.read_labels(drawn)
    drawn = drawn[find_free_boxes(box, frame.ground_truth.box, label, paster.collision)]
    objects = [select_object_returns(paster.bank[int(index)], paster) for index in drawn]
    objects = [o for o in objects if len(o.points) >= paster.min_points]
    if not objects:
        return frame
    points = frame.points
    if paster.clearance_m is not None:
        covered = find_covered_points(points, np.stack([o.box for o in objects]), paster.clearance_m)
        points = points.compress(~covered, axis=0)
    pasted = np.zeros((sum(len(o.points) for o in objects), len(frame.columns)), np.float32)
    values = np.concatenate([o.points for o in objects])
    for i, name in enumerate(get_point_columns(paster.bank)):
        if name in frame.columns:
            pasted[:, frame.columns.index(name)] = values[:, i]
    return replace(
        frame,
        points=np.concatenate([points, pasted]),
        ground_truth=GroundTruth.concatenate([frame.ground_truth, make_labels(objects, frame, paster.bank)]),
    )


def draw_objects(frame: Frame, rng: np.random.Generator, paster: Paster) -> np.ndarray:
    """Draw objects class by class.

    With `collision: later` an object may be drawn twice: it collides with itself and is pasted once. With the others
    it would rule itself out, so that none is drawn twice.

    Args:
        frame: the training frame; its labelled objects count where `paster.fill` is set.
        rng: source of the random choice.
        paster: how many objects of each class to draw, and from which.

    Returns:
        (M,) int64, positions in the bank.
    """
    drawn = [np.zeros(0, np.int64)]
    for name, count, pool in paster.pools:
        if paster.fill:
            of_class = frame.ground_truth.label == frame.class_names.index(name)
            count -= int((of_class & (frame.ground_truth.num_points > 0)).sum())
        if count > 0 and len(pool):
            drawn.append(pool[_draw_positions(len(pool), count, rng, twice=paster.collision == "later")])
    return np.concatenate(drawn)


def _draw_positions(size: int, count: int, rng: np.random.Generator, *, twice: bool) -> np.ndarray:
    """Draw up to `count` of the numbers below `size`, (M,) int64; `twice` allows one to be drawn more than once."""
    return rng.integers(size, size=count) if twice else rng.choice(size, min(count, size), replace=False)


def find_free_boxes(
    box: np.ndarray, others: np.ndarray, label: np.ndarray | None = None, collision: Collision = "later"
) -> np.ndarray:
    """Find the boxes that can be pasted without overlap, seen from above.

    Args:
        box: (M, 7) in the order in which they were drawn.
        others: (N, 7), which are there before.
        label: (M,) classes, which are pasted one after the other; None: all boxes are of one class.
        collision: which of two boxes of a class that overlap goes, `later`, `earlier` or `both`.

    Returns:
        (M,) bool: whether each box is pasted. None of them overlaps another or one of `others`.
    """
    chosen = np.zeros(len(box), bool)
    possible = ~(pairwise_iou(box, others, False) > 0).any(axis=1)
    overlaps = pairwise_iou(box, box, False) > 0
    np.fill_diagonal(overlaps, False)
    label = np.zeros(len(box), np.int64) if label is None else label
    for each in dict.fromkeys(label.tolist()):
        mine = label == each
        free = mine & possible & ~(overlaps & chosen).any(axis=1)
        chosen |= _resolve_collisions(overlaps, mine, free, collision)
    return chosen


def _resolve_collisions(overlaps: np.ndarray, drawn: np.ndarray, free: np.ndarray, collision: Collision) -> np.ndarray:
    """Choose boxes of a class.

    Args:
        overlaps: (M, M) bool, which pairs overlap; none with itself.
        drawn: (M,) bool, the boxes of the class.
        free: (M,) bool, those of them that overlap nothing pasted or labelled.
        collision: which of two that overlap goes.

    Returns:
        (M,) bool, the boxes to paste.
    """
    if collision == "both":  # also a rival that is not pasted itself is one
        return free & ~(overlaps & drawn).any(axis=1)
    order = np.flatnonzero(free)
    if collision == "later":
        chosen = np.zeros(len(free), bool)
        for i in order:
            chosen[i] = not (overlaps[i] & chosen).any()
        return chosen
    alive = drawn.copy()
    for i in np.flatnonzero(drawn):
        alive[i] = free[i] and not (overlaps[i] & alive).any()
    return alive


def find_covered_points(points: np.ndarray, box: np.ndarray, clearance_m: Sequence[float]) -> np.ndarray:
    """Find the points inside pasted boxes.

    Args:
        points: (P, 3+) x, y, z first, metres, vehicle frame.
        box: (N, 7), same frame.
        clearance_m: by how much the boxes are longer, wider and higher, both sides together.

    Returns:
        (P,) bool.
    """
    larger = box.copy()
    larger[:, 3:6] += np.asarray(clearance_m, box.dtype)
    return first_box(points, larger) >= 0


def get_point_columns(bank: ObjectBank) -> tuple[str, ...]:
    """Get the names of the columns of `BankObject.points`."""
    return ("x", "y", "z", *bank.header.features)


def select_object_returns(bank_object: BankObject, paster: Paster) -> BankObject:
    """Keep an object's points of the wanted LiDAR returns; keep all if the bank does not hold return numbers."""
    columns = get_point_columns(paster.bank)
    if "return_number" not in columns:
        return bank_object
    wanted = np.isin(bank_object.points[:, columns.index("return_number")], paster.returns)
    return replace(bank_object, points=bank_object.points[wanted])


def make_labels(objects: Sequence[BankObject], frame: Frame, bank: ObjectBank) -> GroundTruth:
    """Make the labels of pasted objects.

    Args:
        objects: the pasted objects, N of them.
        frame: the training frame, whose pose turns velocities from the vehicle's axes into the world's.
        bank: the objects' bank.

    Returns:
        N labels; `track` is "pasted".
    """
    velocity = np.array([o.velocity for o in objects], np.float64)
    return GroundTruth(
        box=np.stack([o.box for o in objects]),
        label=np.array([frame.class_names.index(bank.header.class_names[o.label]) for o in objects]),
        level=np.array([o.level for o in objects]),
        num_points=np.array([len(o.points) for o in objects]),
        track=np.full(len(objects), "pasted"),
        speed=(velocity @ frame.world_from_vehicle[:2, :2].T).astype(np.float32),
    )
