"""What the paper (arXiv 2204.12511) reports on Waymo's validation set, for the rows beside ours.

BEV, LEVEL_2 and APH of the Poly-1 rows are not in the paper's summary table and are left empty.
"""

from __future__ import annotations

from dataclasses import dataclass

ApAph = tuple[float | None, float | None]  # AP, APH per cent; None where the paper does not give it


@dataclass(frozen=True)
class PaperRow:
    """One detector and loss."""

    class_name: str
    method: str
    cells: dict[tuple[str, int], ApAph]  # by box type and level


def _build_focal_row(class_name: str, method: str, *cells: ApAph) -> PaperRow:
    columns = (("BEV", 1), ("BEV", 2), ("3D", 1), ("3D", 2))
    return PaperRow(class_name, method, dict(zip(columns, cells, strict=True)))


def _build_poly_row(class_name: str, method: str, ap: float) -> PaperRow:
    return PaperRow(class_name, method, {("3D", 1): (ap, None)})


PAPER = (
    _build_focal_row("VEHICLE", "PointPillars, focal", (82.5, 81.5), (73.9, 72.9), (63.3, 62.7), (55.2, 54.7)),
    _build_poly_row("VEHICLE", "PointPillars, Poly-1", 63.7),
    _build_focal_row("VEHICLE", "RSN CarXL 3 frames, focal", (91.3, 90.8), (82.6, 82.2), (78.4, 78.1), (69.5, 69.1)),
    _build_poly_row("VEHICLE", "RSN CarXL 3 frames, Poly-1 (eps -0.4)", 78.9),
    _build_focal_row("PEDESTRIAN", "PointPillars, focal", (76.0, 62.0), (67.2, 54.6), (68.9, 56.6), (60.0, 49.1)),
    _build_poly_row("PEDESTRIAN", "PointPillars, Poly-1", 69.6),
    _build_focal_row("PEDESTRIAN", "RSN PedL 3 frames, focal", (85.0, 81.4), (75.5, 72.2), (79.4, 76.2), (69.9, 67.0)),
    _build_poly_row("PEDESTRIAN", "RSN PedL 3 frames, Poly-1 (eps -0.4)", 80.2),
)
