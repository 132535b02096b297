"""A table of equally long columns, indexed like an array."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np

if TYPE_CHECKING:
    import torch

# A column is a numpy array on the host (reading, storing, augmenting) and a torch tensor once a
# batch is made. Text columns (track ids) stay numpy everywhere. torch is not imported here, so that
# reading Waymo data does not pay for it.
Column = Any


@dataclass(frozen=True)
class Rows:
    """Columns of equal length N, named by subclasses; a column that a table may lack has the default None.

    Tables are frozen: every operation returns a new one.
    """

    def __post_init__(self) -> None:
        lengths = {name: len(column) for name, column in self.columns().items()}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"{type(self).__name__}: columns of different length: {lengths}")

    def columns(self) -> dict[str, Column]:
        """The columns by name, without those that this table lacks."""
        columns = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: column for name, column in columns.items() if column is not None}

    def __len__(self) -> int:
        return len(next(iter(self.columns().values())))

    def __getitem__(self, index: Any) -> Self:
        """The rows at `index`: a slice, a mask (N,) or integer positions."""
        return replace(self, **{name: column[_adapt_index(column, index)] for name, column in self.columns().items()})

    def to(self, device: torch.device | str, *, non_blocking: bool = False) -> Self:
        """The same rows as torch tensors on `device`; text columns stay numpy."""
        import torch

        def move(column: Column) -> Column:
            if isinstance(column, np.ndarray):
                if column.dtype.kind in "US":
                    return column
                column = torch.from_numpy(np.ascontiguousarray(column))
            return column.to(device, non_blocking=non_blocking)

        return replace(self, **{name: move(column) for name, column in self.columns().items()})

    def numpy(self) -> Self:
        """The same rows as numpy arrays on the host."""

        def move_to_host(column: Column) -> Column:
            return column if isinstance(column, np.ndarray) else column.detach().cpu().numpy()

        return replace(self, **{name: move_to_host(column) for name, column in self.columns().items()})

    @classmethod
    def concatenate(cls, parts: Sequence[Self]) -> Self:
        """Put the rows of at least one part, all with the same columns, into one table, in order.

        Raises:
            ValueError: without a part, or where columns differ.
        """
        if not parts:
            raise ValueError(f"{cls.__name__}.concatenate: no parts; use {cls.__name__}.empty()")

        names = list(parts[0].columns())
        if any(list(part.columns()) != names for part in parts):
            raise ValueError(f"{cls.__name__}.concatenate: columns {[list(part.columns()) for part in parts]} differ")

        def join(name: str) -> Column:
            columns = [getattr(part, name) for part in parts]
            if isinstance(columns[0], np.ndarray):
                return np.concatenate(columns)
            import torch

            return torch.cat(columns)

        return cls(**{name: join(name) for name in names})


def _adapt_index(column: Column, index: Any) -> Any:
    """The index in a form that `column` takes: numpy columns do not take torch tensors."""
    if isinstance(column, np.ndarray) and not isinstance(index, (np.ndarray, slice, list)):
        return index.cpu().numpy() if hasattr(index, "cpu") else np.asarray(index)
    return index
