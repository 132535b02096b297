"""Settings of frames, grid and augmentation."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from pcdet_poly.config.section import Count, NotNegative, Positive, Real, Section


class DataConfig(Section):
    """Which frames, which classes, which points."""

    train: tuple[str, ...] = ()
    """Frame stores (folders made by data_tools) to train on."""
    val: tuple[str, ...] = ()
    """Frame stores to evaluate on."""
    classes: tuple[str, ...] = ("VEHICLE", "PEDESTRIAN", "CYCLIST")
    """Classes to detect, in the order of the network's outputs."""
    returns: tuple[Literal[1, 2], ...] = (1, 2)
    """LiDAR returns to use."""
    min_points: int = Field(default=1, ge=0)
    """Train on labelled boxes with at least this many LiDAR points."""
    train_every: Count = 1
    """Train on every n-th frame of the concatenated list of frames; 5 is OpenPCDet's `20 %`."""
    val_every: Count = 1
    """Evaluate on every n-th frame of the concatenated list of frames."""
    workers: int = Field(default=2, ge=0)
    """Processes that read and augment frames; 0 reads in the training process."""


class GridConfig(Section):
    """Space the network sees, vehicle frame, and the size of its cells."""

    lower: tuple[Real, Real, Real] = (-74.88, -74.88, -2.0)
    """Smallest x, y, z, metres."""
    upper: tuple[Real, Real, Real] = (74.88, 74.88, 4.0)
    """Largest x, y, z, metres."""
    cell: tuple[Positive, Positive, Positive] = (0.32, 0.32, 6.0)
    """Edge lengths of a cell along x, y, z, metres."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of cells along x, y, z."""
        nx, ny, nz = (round((u - low) / c) for low, u, c in zip(self.lower, self.upper, self.cell, strict=True))
        return nx, ny, nz

    @model_validator(mode="after")
    def _whole_cells(self) -> Self:
        for axis, low, high, cell, count in zip("xyz", self.lower, self.upper, self.cell, self.shape, strict=True):
            if high <= low:
                raise ValueError(f"upper {axis} = {high} must be greater than lower {axis} = {low}")
            if abs(low + count * cell - high) > 1e-3 * cell:
                raise ValueError(f"{axis}: {high} - {low} is not a whole number of cells of {cell} m")
        return self


class AugmentConfig(Section):
    """Random changes to a training frame; the same change to points and boxes."""

    flip_x: bool = True
    """Mirror y (flip along the x axis) in half of the frames."""
    flip_y: bool = True
    """Mirror x (flip along the y axis) in half of the frames."""
    rotation_rad: NotNegative = 0.7853981633974483
    """Rotate about z by an angle uniform in +- this."""
    scale: tuple[Positive, Positive] = (0.95, 1.05)
    """Scale everything by a factor uniform in this interval."""
    translation_m: NotNegative = 0.0
    """Standard deviation of a shift along x, y and z."""
    shuffle: bool = True
    """Put the points into random order."""
