"""Which rows of its input a sparse convolution adds to which rows of its output."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor

    from pcdet_poly.structures.sparse import Sites


class IndicePairs(NamedTuple):
    """A rulebook in spconv's format."""

    rows: Tensor  # (2, K, longest) int32: input and output rows of each kernel element, -1 beyond its last
    per_element: Tensor  # (K,) int32


@dataclass(frozen=True)
class Rulebook:
    """The kernel map of a sparse convolution: M pairs of an input row and the output row that it adds to.

    The pairs are sorted by kernel element, then by output. Within one element no input and no output comes twice, so
    that adding element by element has one order.
    """

    input: Tensor  # (M,) int32 rows of the convolution's input
    output: Tensor  # (M,) int32 rows of its output
    start: tuple[int, ...]  # K + 1: element k = (kz * height + ky) * width + kx has the pairs start[k] to start[k + 1]
    num_inputs: int
    sites: Sites  # of the output
    kernel: tuple[int, int, int]  # along z, y, x
    centre: int | None  # of a submanifold kernel: the element with the pairs (0, 0), (1, 1), ... of all rows

    @cached_property
    def neighbours(self) -> Tensor:
        """The input row that each output row reads through each kernel element, -1 for none: (V', K) int32."""
        return self._make_table(self.output, self.input, len(self.sites))

    @cached_property
    def readers(self) -> Tensor:
        """The output row that reads each input row through each kernel element, -1 for none: (V, K) int32."""
        return self._make_table(self.input, self.output, self.num_inputs)

    def _make_table(self, rows: Tensor, values: Tensor, num_rows: int) -> Tensor:
        """Write value i, of kernel element k, to [row i, k]."""
        import torch

        num_elements = len(self.start) - 1
        count = torch.tensor(self.start, device=rows.device).diff()
        place = rows.long() * num_elements
        place += torch.arange(num_elements, device=rows.device).repeat_interleave(count)
        table = values.new_full((num_rows * num_elements,), -1)
        return table.index_copy_(0, place, values).view(num_rows, num_elements)

    @cached_property
    def indice_pairs(self) -> IndicePairs:
        """The same pairs as spconv takes them."""
        import torch

        count = torch.tensor(self.start).diff()
        place = torch.arange(int(count.max())) < count[:, None]  # (K, longest)
        rows = self.input.new_full((2, *place.shape), -1)
        place = place.to(self.input.device)
        rows[0][place], rows[1][place] = self.input, self.output
        return IndicePairs(rows, count.int().to(self.input.device))
