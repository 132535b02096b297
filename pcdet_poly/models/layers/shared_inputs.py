"""What several networks that see the same batch compute from it alone, computed once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from torch import nn

T = TypeVar("T")


class SharedInputs:
    """The last result of each named computation, and what it was computed from.

    Nothing is copied: whoever asks for the same name with the very same inputs gets the very same result, which
    nobody may change. Results must not carry gradients.
    """

    def __init__(self) -> None:
        self._kept: dict[str, tuple[tuple[object, ...], object]] = {}

    def compute_once(self, name: str, inputs: tuple[object, ...], compute: Callable[[], T]) -> T:
        """Return what `compute` gives, or gave before for these inputs.

        Args:
            name: of the computation.
            inputs: all that the result depends on; objects are compared by identity.
            compute: the computation.
        """
        known = self._kept.get(name)
        if known is not None and all(one is other for one, other in zip(known[0], inputs, strict=True)):
            return known[1]  # type: ignore[return-value]
        result = compute()
        self._kept[name] = (inputs, result)
        return result


class SharesInputs(nn.Module):
    """A part of a network that computes something from its inputs alone."""

    shared_inputs: SharedInputs | None = None  # each network for itself

    def compute_once(self, name: str, inputs: tuple[object, ...], compute: Callable[[], T]) -> T:
        """Return what `compute` gives, from the networks' shared results where there are some.

        Args:
            name: of the computation.
            inputs: all that the result depends on; objects are compared by identity.
            compute: the computation.
        """
        return compute() if self.shared_inputs is None else self.shared_inputs.compute_once(name, inputs, compute)


def share_inputs(networks: Iterable[nn.Module]) -> None:
    """Let networks of the same settings, which get the same batches one after the other, share what they may.

    They may differ in their weights alone.
    """
    shared = SharedInputs()
    for network in networks:
        for module in network.modules():
            if isinstance(module, SharesInputs):
                module.shared_inputs = shared
