"""Colours that pictures, the viewer's window, pages and figures share: one per class, two themes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

# Okabe and Ito's colours, told apart by colour-blind eyes; each has a contrast of at least 3 to 1 with both grounds.
BLUE, VERMILION, GREEN, PURPLE, ORANGE = "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00"
_OF_CLASS = {"VEHICLE": BLUE, "PEDESTRIAN": VERMILION, "CYCLIST": GREEN, "SIGN": PURPLE}
CLASS_COLOURS = (BLUE, VERMILION, GREEN, PURPLE, "#8c6d31", "#7a7a7a")

ThemeName = Literal["light", "dark"]
THEME_NAMES: tuple[ThemeName, ...] = ("light", "dark")


@dataclass(frozen=True)
class Theme:
    """Colours of a picture's ground and of what is no class, as "#rrggbb"."""

    ground: str
    panel: str  # behind a legend
    ink: str  # texts, labels of axes
    faint: str  # numbers of distance rings
    line: str  # rings, frames
    heights: tuple[str, str, str]  # points from low to high


LIGHT = Theme("#ffffff", "#ffffff", "#1d2530", "#66717e", "#d5dbe2", ("#b9c4cf", "#8493a3", "#3f4c5a"))
DARK = Theme("#10151c", "#1a212b", "#c8d0da", "#8e99a7", "#39424e", ("#4a7097", "#86a8c8", "#eaf2fa"))
THEMES: dict[ThemeName, Theme] = {"light": LIGHT, "dark": DARK}
PERSPECTIVE_GROUND = DARK.ground

# What became of labels and detections. The kinds also differ in how they are drawn: dashed, crossed, thin.
OUTCOME_COLOURS = {
    "true": GREEN,
    "false": VERMILION,
    "ignored": "#7d8794",
    "missed": PURPLE,
    "found": "#4f83c4",
}


def choose_class_colours(class_names: Sequence[str]) -> tuple[str, ...]:
    """Return the colour of each class: Waymo's have their own by name, others take what is left, in turn."""
    named = {name.upper() for name in class_names} & _OF_CLASS.keys()
    free = [colour for colour in CLASS_COLOURS if colour not in {_OF_CLASS[name] for name in named}]
    others = [name for name in class_names if name.upper() not in named]
    colours = {name: free[i % len(free)] if free else CLASS_COLOURS[0] for i, name in enumerate(others)}
    return tuple(_OF_CLASS.get(name.upper()) or colours[name] for name in class_names)


def choose_class_letters(class_names: Sequence[str]) -> tuple[str, ...]:
    """Return the shortest beginning of each class's name that no other class has: V, P, C."""
    names = [name.capitalize() for name in class_names]
    return tuple(_shorten(name, [other for other in names if other != name]) for name in names)


def _shorten(name: str, others: Sequence[str]) -> str:
    """Return the shortest beginning of `name` that none of the `others` starts with."""
    lengths = range(1, len(name) + 1)
    return next((name[:n] for n in lengths if not any(other.startswith(name[:n]) for other in others)), name)


def parse_rgb(colour: str) -> tuple[int, int, int]:
    """Return red, green and blue, 0 to 255, of "#rrggbb"."""
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)
