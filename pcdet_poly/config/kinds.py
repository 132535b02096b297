"""What a detector, a classification loss and a reader of frames consist of, ours and a user's own alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from pcdet_poly.config.sections.cell_loss import LossSection
from pcdet_poly.config.sections.detector import DetectorSection

# A function, or its name, "module:function", which is imported when it is needed: a config is read without torch.
Function = Callable[..., Any] | str
# What a head asks of its loss. heatmap: targets in [0, 1], 1 at peaks. sigmoid: targets are yes or no.
Targets = Literal["heatmap", "sigmoid"]


@dataclass(frozen=True)
class DetectorKind:
    """A detector that `model.kind` can name."""

    settings: type[DetectorSection]
    build: Function  # (config: Config) -> Recipe
    loss: str = "heatmap"  # `classification.kind` where a config names none
    unused_sections: tuple[str, ...] = ()  # sections of a config that this detector does not read: refused if changed


@dataclass(frozen=True)
class LossKind:
    """A classification loss, one value per cell and class, that `classification.kind` can name."""

    settings: type[LossSection]
    # heatmap: (logits (B, K, ...), heatmap of that shape, settings, *, progress: float) -> loss of that shape
    # sigmoid: (logits (..., K), bool of that shape, settings, *, progress: float) -> loss of that shape
    loss: Function
    targets: Targets = "heatmap"


@dataclass(frozen=True)
class ReaderKind:
    """A reader of frames that `--reader` can name."""

    # (path, advance: bytes read -> None, report: UserError -> None) -> iterator of the Frames of one segment
    read: Function
    list_sources: Function | None = None  # (words of the command line) -> a Source per segment; None: one per word
