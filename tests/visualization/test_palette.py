"""One colour per class: told apart by every eye, seen on both grounds, the same wherever the class stands."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from pcdet_poly.visualization.palette import (
    THEMES,
    choose_class_colours,
    choose_class_letters,
    parse_rgb,
)

WAYMO = ("VEHICLE", "PEDESTRIAN", "SIGN", "CYCLIST")
# Machado, Oliveira, Fernandes (2009), full deficiency: linear red, green, blue as such eyes see them.
EYES = {
    "all colours": np.eye(3),
    "no red": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "no green": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "no blue": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


def linear(colour: str) -> np.ndarray:
    """Linear red, green, blue of an sRGB colour (IEC 61966-2-1)."""
    share = np.array(parse_rgb(colour)) / 255
    return np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)


def contrast(a: str, b: str) -> float:
    """WCAG's contrast of two colours."""
    low, high = sorted(linear(colour) @ [0.2126, 0.7152, 0.0722] for colour in (a, b))
    return (high + 0.05) / (low + 0.05)


def lab(colour: str, eye: str) -> np.ndarray:
    """CIELAB, white D65, of a colour as an eye sees it."""
    seen = np.clip(np.array(EYES[eye]) @ linear(colour), 0, 1)
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    x, y, z = np.cbrt(np.maximum(to_xyz @ seen / [0.9505, 1, 1.089], 0.008856))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("eye", EYES)
def test_classes_differ_for_every_eye(eye: str) -> None:
    # About 2.3 is just noticeable; 10 is what categorical maps ask of neighbours at the least.
    for a, b in combinations(choose_class_colours(WAYMO), 2):
        assert np.linalg.norm(lab(a, eye) - lab(b, eye)) > 10


@pytest.mark.parametrize("theme", THEMES)
def test_classes_and_texts_are_seen_on_both_grounds(theme: str) -> None:
    look = THEMES[theme]
    assert min(contrast(colour, look.ground) for colour in choose_class_colours(WAYMO)) >= 3  # WCAG, graphics
    assert min(contrast(text, look.ground) for text in (look.ink, look.faint)) >= 4.5  # WCAG, texts
    assert contrast(look.ink, look.panel) >= 4.5


def test_a_class_has_one_colour_in_every_list_of_classes() -> None:
    of_waymo = dict(zip(WAYMO, choose_class_colours(WAYMO), strict=True))
    for names in (("VEHICLE", "PEDESTRIAN", "CYCLIST"), ("CYCLIST",), ("Tram", "CYCLIST", "VEHICLE")):
        chosen = dict(zip(names, choose_class_colours(names), strict=True))
        assert all(chosen[name] == of_waymo[name] for name in names if name in of_waymo)
        assert len(set(chosen.values())) == len(names)


def test_more_classes_than_colours_have_colours_too() -> None:
    assert len(choose_class_colours([f"kind {i}" for i in range(20)])) == 20
    assert choose_class_colours([]) == ()


def test_letters_are_the_shortest_that_differ() -> None:
    assert choose_class_letters(WAYMO) == ("V", "P", "S", "C")
    assert choose_class_letters(("CAR", "CYCLIST", "CYCLE")) == ("Ca", "Cycli", "Cycle")
