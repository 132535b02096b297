"""Colours that pictures, the viewer's window and pages share."""

from __future__ import annotations

# One per class, in the order of the detector's classes: blue, orange, green, pink and two more, told apart by
# colour-blind eyes on a dark ground.
CLASS_COLOURS = ("#56b4ff", "#ffb000", "#3ddc97", "#ff6ec7", "#c0a0ff", "#f0f060")
BEV_GROUND = "#10141a"
PERSPECTIVE_GROUND = "#10151c"
INK = "#c8d0da"
LINE = "#39424e"


def class_colour(label: int) -> str:
    """Return the colour of a class as "#rrggbb"; beyond the last the first ones come again."""
    return CLASS_COLOURS[label % len(CLASS_COLOURS)]


def parse_rgb(colour: str) -> tuple[int, int, int]:
    """Return red, green and blue, 0 to 255, of "#rrggbb"."""
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)
