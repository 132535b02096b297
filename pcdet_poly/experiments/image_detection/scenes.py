"""Scenes: light digits of many sizes and colours over a piece of a darkened photograph, with their masks, by seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pcdet_poly.experiments.image_detection.sources import Part, Sources, load_sources

SCENE_SIDE = 96  # pixels
NUM_DIGITS = (2, 5)  # at least and at most; fewer where no place is found
MAX_TRIES = 60  # to place them; the first always finds a place
DIGIT_SIDES = (28, 44)  # pixels of the square that a digit is drawn in
CROP_SIDES = (96, 240)  # pixels of the photograph that become the background
EXPOSURE = (0.3, 0.6)  # of the photograph
LIGHT = (150.0, 255.0)  # of every channel of the ink
MIN_AREA = 40  # pixels of a digit that must stay in sight
MAX_OVERLAP = 0.15  # of the smaller of two boxes
INK = 0.25  # from so much ink on a pixel belongs to the digit


@dataclass(frozen=True)
class Scene:
    """One image and the objects in it."""

    image: np.ndarray  # (96, 96, 3) uint8
    labels: np.ndarray  # (M,) int64, 0 to 9
    masks: np.ndarray  # (M, 96, 96) bool; no pixel has two
    boxes: np.ndarray  # (M, 4) float32: x1, y1, x2, y2 around each mask, in pixels


def compose_scenes(part: Part, num_scenes: int, seed: int) -> list[Scene]:
    """Compose scenes of one part.

    Args:
        part: whose digits and photographs are used.
        num_scenes: how many scenes.
        seed: decides everything else; each scene depends on it and on its number alone.

    Returns:
        The scenes, each with at least one digit.
    """
    sources = load_sources(part)
    return [compose_scene(sources, np.random.default_rng((seed, number))) for number in range(num_scenes)]


def compose_scene(sources: Sources, rng: np.random.Generator) -> Scene:
    """Draw some digits over a piece of a photograph; later ones may cover a little of earlier ones."""
    image = _cut_background(sources.photographs, rng)
    labels: list[int] = []
    masks: list[np.ndarray] = []
    wanted = int(rng.integers(NUM_DIGITS[0], NUM_DIGITS[1] + 1))
    for _ in range(MAX_TRIES):
        number = int(rng.integers(len(sources.labels)))
        ink = _place_digit(sources.digits[number], rng)
        mask = ink > INK
        if mask.sum() >= MIN_AREA and not _hides(mask, masks):
            image, masks = _paint(image, ink, rng), [*(earlier & ~mask for earlier in masks), mask]
            labels.append(int(sources.labels[number]))
        if len(masks) == wanted:
            break
    stacked = np.stack(masks)
    return Scene(image.round().astype(np.uint8), np.array(labels), stacked, find_boxes(stacked))


def _place_digit(digit: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw a digit at a random size and place: how much ink lies on each pixel of the scene."""
    ink = np.zeros((SCENE_SIDE, SCENE_SIDE), np.float32)
    drawn = resize(digit, int(rng.integers(DIGIT_SIDES[0], DIGIT_SIDES[1] + 1)))
    top, left = rng.integers(0, SCENE_SIDE - len(drawn) + 1, 2)
    ink[top : top + len(drawn), left : left + len(drawn)] = drawn
    return ink


def find_boxes(masks: np.ndarray) -> np.ndarray:
    """Find the boxes (M, 4) float32 around masks (M, H, W), none of which is empty."""
    sides = []
    for axis in (1, 2):  # over rows: the columns of a mask; over columns: its rows
        line: np.ndarray = np.asarray(masks.any(axis))
        sides.append((line.argmax(1), line.shape[1] - line[:, ::-1].argmax(1)))
    (x1, x2), (y1, y2) = sides
    return np.stack([x1, y1, x2, y2], 1).astype(np.float32)


def resize(image: np.ndarray, side: int) -> np.ndarray:
    """Resize an image (H, W) float32 or (H, W, 3) uint8 to a square of `side` pixels, smoothly."""
    from PIL import Image

    return np.asarray(Image.fromarray(image).resize((side, side), Image.Resampling.BILINEAR))


def _cut_background(photographs: Sequence[np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """Cut a piece, turn it, exchange its colours and darken it: (96, 96, 3) float32."""
    photograph = photographs[int(rng.integers(len(photographs)))]
    side = int(rng.integers(CROP_SIDES[0], CROP_SIDES[1] + 1))
    top, left = (int(rng.integers(0, size - side + 1)) for size in photograph.shape[:2])
    piece = resize(photograph[top : top + side, left : left + side], SCENE_SIDE)
    turned = np.rot90(piece, int(rng.integers(4)))
    return turned[..., rng.permutation(3)] * np.float32(rng.uniform(*EXPOSURE))


def _paint(image: np.ndarray, ink: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Paint with a light colour."""
    return image + ink[..., None] * (rng.uniform(*LIGHT, size=3).astype(np.float32) - image)


def _hides(mask: np.ndarray, earlier: Sequence[np.ndarray]) -> bool:
    """Whether the box of a new mask overlaps that of an earlier one too much."""
    if not earlier:
        return False
    box, others = find_boxes(mask[None])[0], find_boxes(np.stack(earlier))
    size = np.clip(np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2]), 0, None).prod(1)
    smaller = np.minimum((box[2:] - box[:2]).prod(), (others[:, 2:] - others[:, :2]).prod(1))
    return bool((size > MAX_OVERLAP * smaller).any())
