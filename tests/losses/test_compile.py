"""Every kind of loss compiles into one graph, with the gradient it has uncompiled."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from pcdet_poly import losses

GENERATOR = torch.Generator().manual_seed(0)
HEATMAP = torch.rand(2, 3, 6, 6, generator=GENERATOR).masked_fill_(torch.eye(6, dtype=torch.bool), 1)
YES = HEATMAP > 0.5
LABELS = torch.randint(6, (2, 3, 6), generator=GENERATOR)
PER_CLASS = torch.tensor([-1.0, 0.0, 2.0]).reshape(3, 1, 1)

CASES: dict[str, Callable[[Tensor], Tensor]] = {
    "heatmap": lambda x: losses.gaussian_poly1_focal(x, HEATMAP, epsilon=-1.0),
    "heatmap per class": lambda x: losses.gaussian_poly1_focal(x, HEATMAP, epsilon=PER_CLASS),
    "sigmoid": lambda x: losses.poly1_focal(x, YES, gamma=2.0, alpha=0.25, epsilon=-0.4),
    "sigmoid, soft": lambda x: losses.poly_n_focal(x, HEATMAP, gamma=1.5, epsilons=(1.0, -0.5), soft="pt"),
    "softmax": lambda x: losses.poly1_softmax_focal(x, LABELS, gamma=2.0, epsilon=1.0),
    "softmax, smoothed": lambda x: losses.poly1_cross_entropy(x, LABELS, epsilon=1.0, label_smoothing=0.1),
    "Drop-N": lambda x: losses.drop_n_cross_entropy(x, LABELS, num_terms=3),
}


@pytest.mark.slow
@pytest.mark.parametrize("loss", CASES.values(), ids=CASES.keys())
def test_one_graph_and_the_same_gradient(loss: Callable[[Tensor], Tensor]) -> None:
    x = torch.randn(2, 3, 6, 6, generator=torch.Generator().manual_seed(1)).requires_grad_()
    torch._dynamo.reset()
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")  # fullgraph: a graph break is an error
    ours = compiled(x)
    torch.testing.assert_close(ours, loss(x))
    torch.testing.assert_close(torch.autograd.grad(ours.sum(), x), torch.autograd.grad(loss(x).sum(), x))
