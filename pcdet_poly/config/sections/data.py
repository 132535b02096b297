"""Settings of frames, grid and augmentation."""

from __future__ import annotations

import math
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from pcdet_poly.cells import count_cells
from pcdet_poly.config.sections.section import Count, Fraction, Names, NotNegative, Positive, Real, Section


class DataConfig(Section):
    """Which frames, which classes, which points."""

    train: Names = ()
    """Frame stores to train on, folders made by `pcdet-poly preprocess` or `import-frames`."""
    val: Names = ()
    """Frame stores to evaluate on."""
    classes: Annotated[Names, Field(min_length=1)] = ("VEHICLE", "PEDESTRIAN", "CYCLIST")
    """Classes to detect, in the order of the network's outputs."""
    returns: tuple[Literal[1, 2], ...] = (1, 2)
    """LiDAR returns to use."""
    elongation: bool = True
    """Whether the elongation of a LiDAR's pulse is one of the numbers of a point."""
    age: Literal["several_sweeps", "always"] = "several_sweeps"
    """Whether a point's age is one of its numbers with several sweeps alone, or always: with one sweep it is 0
    (PillarNeXt)."""
    sweeps: Count = 1
    """LiDAR sweeps that make up a frame: its own and those before it, as far as its segment has them, moved into its
    vehicle frame. With more than one, the last number of a point is its age in seconds."""
    min_points: int = Field(default=1, ge=0)
    """Train on labelled boxes with at least this many LiDAR points."""
    train_every: Count = 1
    """Train on every n-th frame of the concatenated list of frames; 5 is OpenPCDet's `20 %`."""
    train_segments_every: Count = 1
    """Train on every n-th segment of the concatenated list; 5 is the other meaning of `20 %`, with fewer streets."""
    val_every: Count = 1
    """Evaluate on every n-th frame of the concatenated list of frames."""
    workers: int = Field(default=2, ge=0)
    """Processes that read and augment frames; 0 reads in the training process."""

    @property
    def point_channels(self) -> int:
        """Numbers per point: x, y, z, tanh(intensity), then the elongation and the age in seconds, if they are used."""
        return 4 + self.elongation + self.has_age

    @property
    def has_age(self) -> bool:
        """Whether the last number of a point is its age."""
        return self.sweeps > 1 or self.age == "always"


_MAX_CELLS = 1e9  # a map of them with one number a cell takes 4 GB


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
        return count_cells(self.lower, self.upper, self.cell)

    @model_validator(mode="after")
    def _check_whole_cells(self) -> Self:
        num_cells = math.prod((h - low) / c for low, h, c in zip(self.lower, self.upper, self.cell, strict=True))
        if not abs(num_cells) < _MAX_CELLS:
            raise ValueError(f"{num_cells:.3g} cells; at most {_MAX_CELLS:.0e}: choose larger cells or a smaller space")
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
    """Rotate about z by an angle that is uniform within plus and minus this, radians."""
    scale: tuple[Positive, Positive] = (0.95, 1.05)
    """Scale points and boxes by one factor that is uniform in this interval."""
    translation_m: NotNegative = 0.0
    """Standard deviation, metres, of a shift along x, y and z."""
    shift: Literal["per_axis", "one_number"] = "per_axis"
    """Whether the shift has a random number for each axis, or one for all three (PillarNeXt)."""
    flips: Literal["first", "last"] = "first"
    """Whether flips come before rotation, scale and shift, or after them (PillarNeXt)."""
    shuffle: bool = True
    """Put the points into random order."""
    drop_sweeps: Fraction = 0.0
    """Probability with which each sweep before the frame's own is left out (PillarNeXt: 0.5)."""

    @model_validator(mode="after")
    def _check_scale(self) -> Self:
        if self.scale[0] > self.scale[1]:
            raise ValueError(f"scale = {list(self.scale)}: the first is the smallest factor; swap the two")
        return self


class PasteConfig(Section):
    """Labelled objects of other frames, put into training frames before these are augmented. Default: none."""

    bank: str = ""
    """File made by `pcdet-poly build-bank`. Empty: nothing is pasted."""
    objects: tuple[Annotated[int, Field(ge=0)], ...] = (15, 10, 10)
    """Number of objects to paste of each class of data.classes; those that would collide with others are left out after
    they have been counted."""
    fill: bool = True
    """Count the frame's own objects too: paste only as many as are missing (as OpenPCDet does on Waymo)."""
    min_points: Count = 5
    """Paste objects with at least this many LiDAR points."""
    max_level: Literal[1, 2] = 2
    """Largest difficulty of an object to paste; 1 leaves those of LEVEL_2 out."""
    every: Count | tuple[Count, ...] = 1
    """Paste from every n-th frame of the bank's list of frames; one number or one per class. OpenPCDet's `20 %` configs
    paste from all (1); with the value of data.train_every, training sees no object of a frame that it does not train
    on."""
    collision: Literal["later", "earlier", "both"] = "later"
    """Which of two drawn objects of a class is left out where they overlap, seen from above: the one drawn later, the
    one drawn earlier (PillarNeXt), or both (OpenPCDet). With the last two, no object is drawn twice."""
    clearance_m: tuple[NotNegative, NotNegative, NotNegative] | None = (0.0, 0.0, 0.0)
    """Metres by which a pasted box is longer, wider and higher, both sides together, where it removes the frame's
    points. OpenPCDet: 0.02, 0.02, 0, its 1 cm margin; SECOND's 0.4, 0.3, 0.2 and that margin: 0.42, 0.32, 0.2.
    null: the frame's points stay (CenterPoint's repository)."""
    stop_epoch: int | None = None
    """First epoch, counted from 0, without pasting; -5 stops for the last five; null never stops."""

    def is_pasting(self, epoch: int, num_epochs: int) -> bool:
        """Whether frames of an epoch, counted from 0, get objects."""
        if self.stop_epoch is None:
            return bool(self.bank)
        stop = self.stop_epoch if self.stop_epoch >= 0 else num_epochs + self.stop_epoch
        return bool(self.bank) and epoch < stop

    @model_validator(mode="after")
    def _check_bank_is_named(self) -> Self:
        if not self.bank and self != PasteConfig.model_construct():
            raise ValueError("bank: none given, so nothing is pasted; name one, or leave the other settings out")
        return self
