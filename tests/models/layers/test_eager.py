"""Methods that torch.compile leaves alone."""

from __future__ import annotations

from types import SimpleNamespace

import torch
from torch import Tensor, nn

from pcdet_poly.models.layers.eager import run_eagerly

LOOKS: list[str] = []  # which function ran as Python, not as a graph


def double(values: Tensor) -> Tensor:
    LOOKS.append("inside")
    return values * 2


class Between(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(3, 3), nn.Linear(3, 3)

    def forward(self, values: Tensor) -> Tensor:
        result: Tensor = self.last(self.work(self.first(values)))
        return result

    @run_eagerly
    def work(self, values: Tensor) -> Tensor:
        """Compute what a compiler cannot."""
        LOOKS.append("itself")
        return double(values)


def test_graphs_end_at_it_and_nothing_inside_is_compiled() -> None:
    torch._dynamo.reset()
    graphs: list[torch.fx.GraphModule] = []

    def keep(graph: torch.fx.GraphModule, inputs: list[Tensor]) -> torch.fx.GraphModule:
        graphs.append(graph)
        return graph

    network, values = Between(), torch.rand(2, 3)
    expected = network(values)
    compiled = torch.compile(network, backend=keep)
    LOOKS.clear()
    for _ in range(3):
        torch.testing.assert_close(compiled(values), expected)
    assert len(graphs) == 2  # before it and after it
    assert LOOKS == ["itself", "inside"] * 3  # a graph would have written this down once, as it was traced


def test_name_and_documentation_stay() -> None:
    assert Between.work.__name__ == "work"
    assert Between.work.__doc__ == "Compute what a compiler cannot."


def test_it_takes_and_returns_what_the_function_does() -> None:
    join = run_eagerly(lambda *words, end="": SimpleNamespace(words=words, end=end))
    assert join("a", "b", end="!") == SimpleNamespace(words=("a", "b"), end="!")
