"""Scenes of digits over photographs: what they hold, that parts share nothing, and COCO's format."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from pcdet_poly.errors import UserError
from pcdet_poly.experiments import mnist_digits
from pcdet_poly.experiments.image_detection import scenes as scenes_module
from pcdet_poly.experiments.image_detection.coco_files import (
    decode_mask,
    describe_scenes,
    encode_mask,
    read_coco_folder,
    write_coco_folder,
)
from pcdet_poly.experiments.image_detection.scenes import Scene, compose_scenes, find_boxes
from pcdet_poly.experiments.image_detection.sources import load_sources


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    return compose_scenes("val", 20, seed=3)


def test_parts_share_no_digit_and_no_photograph() -> None:
    train, val = load_sources("train"), load_sources("val")
    assert (len(train.labels), len(val.labels)) == (4000, 1000)
    assert np.bincount(train.labels).tolist() == [400] * 10
    assert np.bincount(val.labels).tolist() == [100] * 10
    assert not {digit.tobytes() for digit in train.digits} & {digit.tobytes() for digit in val.digits}
    assert not {image.tobytes() for image in train.photographs} & {image.tobytes() for image in val.photographs}


def test_a_scene_depends_on_seed_and_number_alone(scenes: list[Scene]) -> None:
    few, other = compose_scenes("val", 2, seed=3), compose_scenes("val", 1, seed=4)[0]
    for one, again in zip(few, scenes, strict=False):
        assert np.array_equal(one.image, again.image)
        assert np.array_equal(one.masks, again.masks)
    assert not np.array_equal(few[0].image, other.image)


def test_masks_boxes_and_images_agree(scenes: list[Scene]) -> None:
    for scene in scenes:
        assert scene.image.shape == (96, 96, 3)
        assert 1 <= len(scene.labels) == len(scene.masks) == len(scene.boxes) <= 5
        assert scene.masks.sum(0).max() == 1  # no pixel has two
        for mask, (x1, y1, x2, y2) in zip(scene.masks, scene.boxes.astype(int), strict=True):
            rows, columns = np.nonzero(mask)
            assert (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1) == (x1, y1, x2, y2)
    counts = [len(scene.labels) for scene in scenes]
    assert set(counts) == {2, 3, 4, 5}  # of 20 scenes of this seed


def test_ink_is_lighter_than_what_is_below() -> None:
    sources, rng = load_sources("val"), np.random.default_rng(0)
    below = scenes_module._cut_background(sources.photographs, rng)
    ink = scenes_module._place_digit(sources.digits[0], rng)
    painted = scenes_module._paint(below, ink, rng)
    assert painted[ink > 0.95].min() > 0.95 * 150  # what is left of the photograph is at least 0
    assert below.max() < 0.61 * 255
    assert np.array_equal(painted[ink == 0], below[ink == 0])


def test_boxes_of_hand_made_masks() -> None:
    masks = np.zeros((2, 5, 7), bool)
    masks[0, 1:3, 2:6] = True
    masks[1, 4, 6] = True
    assert find_boxes(masks).tolist() == [[2, 1, 6, 3], [6, 4, 7, 5]]


@pytest.mark.parametrize(
    ("rows", "counts"),
    [
        ([[0, 0], [0, 1], [1, 1]], [2, 1, 1, 2]),  # down the columns: 0 0 1, 0 1 1
        ([[1, 0], [1, 0]], [0, 2, 2]),  # runs begin with nothing, if of length 0
        ([[1, 1], [1, 1]], [0, 4]),
        ([[0, 0], [0, 0]], [4]),
    ],
)
def test_runs_of_hand_made_masks(rows: list[list[int]], counts: list[int]) -> None:
    mask = np.array(rows, bool)
    runs = encode_mask(mask)
    assert runs == {"size": list(mask.shape), "counts": counts}
    assert np.array_equal(decode_mask(runs), mask)


def test_coco_tools_read_the_folder(scenes: list[Scene], tmp_path: Path) -> None:
    coco = pytest.importorskip("faster_coco_eval").COCO
    write_coco_folder(tmp_path, scenes[:3])
    table = coco(str(tmp_path / "annotations.json"))
    for number, scene in enumerate(scenes[:3], start=1):
        rows = table.loadAnns(table.getAnnIds(imgIds=number))
        assert [row["category_id"] - 1 for row in rows] == scene.labels.tolist()
        for row, mask, (x1, y1, x2, y2) in zip(rows, scene.masks, scene.boxes, strict=True):
            assert np.array_equal(table.annToMask(row), mask)
            assert row["area"] == mask.sum()
            assert row["bbox"] == [x1, y1, x2 - x1, y2 - y1]
            assert row["iscrowd"] == 0
    names = {row["id"]: row["name"] for row in table.loadCats(table.getCatIds())}
    assert names == {digit + 1: str(digit) for digit in range(10)}


def test_a_folder_is_read_as_it_was_written(scenes: list[Scene], tmp_path: Path) -> None:
    write_coco_folder(tmp_path, scenes[:3])
    assert json.loads((tmp_path / "annotations.json").read_text()) == describe_scenes(scenes[:3])
    for one, again in zip(scenes, read_coco_folder(tmp_path), strict=False):
        for name in ("image", "labels", "masks", "boxes"):
            assert np.array_equal(getattr(one, name), getattr(again, name)), name


def test_a_missing_package_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mnist_digits, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install 'pcdet_poly\[images\]'"):
        mnist_digits.find_package_file("sklearn", "datasets")
