"""Colours of points and boxes: one code of a byte per point, one palette of 256 colours per mode.

Window, page and pictures all take their colours from here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np

from pcdet_poly.visualization.palette import BLUE, CLASS_COLOURS, ORANGE, choose_class_colours, parse_rgb
from pcdet_poly.visualization.viewer.view import View

ColourMode = Literal["class", "score", "return", "intensity", "height"]
COLOUR_MODES: tuple[ColourMode, ...] = get_args(ColourMode)
NO_COLOUR_CODE = 255  # code of a point without a class, a score, a return number
LABEL_COLOUR = "#8a96a4"  # of labels, where detections are coloured by score
LOWEST_M, HIGHEST_M = -1.0, 5.0  # ends of the colours by height
_UNKNOWN = "#6b7a8d"
_RETURNS = (BLUE, ORANGE)  # first, second
_RAMPS: dict[ColourMode, tuple[str, ...]] = {
    "score": ("#6a3fd0", "#c4458b", "#f89540", "#f7f05a"),
    "intensity": ("#31435f", "#3f7f93", "#7fc97f", "#fdf6b0"),
    "height": ("#3c5f88", "#86a8c8", "#eaf2fa", "#ffd9a0"),
}


def compute_colour_codes(view: View, mode: ColourMode) -> np.ndarray:
    """Return where each point's colour stands in `build_palette(mode)`, (P,) uint8."""
    match mode:
        case "class":
            return np.where((kind := view.classify_points()[0]) < 0, NO_COLOUR_CODE, kind).astype(np.uint8)
        case "score":
            score = view.classify_points()[1]
            return np.where(np.isnan(score), NO_COLOUR_CODE, _quantize_share(np.nan_to_num(score))).astype(np.uint8)
        case "return":
            number = view.return_number
            return np.where((number >= 1) & (number <= len(_RETURNS)), number - 1, NO_COLOUR_CODE).astype(np.uint8)
        case "intensity":
            return _quantize_share(view.intensity)
        case "height":
            return _quantize_share((view.xyz[:, 2] - LOWEST_M) / (HIGHEST_M - LOWEST_M))


def build_palette(mode: ColourMode, class_names: Sequence[str] = ()) -> np.ndarray:
    """Return the colours of all codes, (256, 3) uint8 red, green, blue.

    `class_names` are those that codes of the mode `class` count; without them classes have the palette's order.
    """
    if mode in _RAMPS:
        stops = np.array([parse_rgb(colour) for colour in _RAMPS[mode]], np.float64)
        positions = np.linspace(0, len(stops) - 1, NO_COLOUR_CODE)
        ramp = np.column_stack([np.interp(positions, np.arange(len(stops)), channel) for channel in stops.T])
        return np.vstack([ramp.round(), parse_rgb(_UNKNOWN)]).astype(np.uint8)
    listed = (choose_class_colours(class_names) or CLASS_COLOURS) if mode == "class" else _RETURNS
    colours = [parse_rgb(listed[i % len(listed)]) for i in range(NO_COLOUR_CODE)]
    return np.array([*colours, parse_rgb(_UNKNOWN)], np.uint8)


def point_colours(view: View, mode: ColourMode) -> np.ndarray:
    """Return the colour of each point, (P, 3) uint8."""
    return build_palette(mode, view.class_names)[compute_colour_codes(view, mode)]


def label_colours(view: View, mode: ColourMode) -> np.ndarray:
    """Return the colour of each label, (M, 3) uint8: of its class, or one grey where colours mean scores."""
    if mode == "score":
        return np.full((len(view.labels), 3), parse_rgb(LABEL_COLOUR), np.uint8)
    return build_palette("class", view.class_names)[view.labels.label]


def detection_colours(view: View, mode: ColourMode) -> np.ndarray:
    """Return the colour of each detection, (N, 3) uint8: of its class or its score; N is 0 without a detector."""
    if view.detections is None:
        return np.zeros((0, 3), np.uint8)
    return (
        build_palette("score")[_quantize_share(view.detections.score)]
        if mode == "score"
        else build_palette("class", view.class_names)[view.detections.label]
    )


def _quantize_share(share: np.ndarray) -> np.ndarray:
    """Turn shares of the way from a ramp's beginning (0) to its end (1) into uint8 codes 0 to 254."""
    return (np.clip(share, 0, 1) * (NO_COLOUR_CODE - 1)).round().astype(np.uint8)
