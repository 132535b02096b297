"""Time and memory of the PolyLoss functions against the plain losses, forward and backward.

    python -m benchmarks.bench_losses [--repeat N] [--threads N] [--compile]

Heatmap of 3 x 468 x 468 cells (one Waymo frame), float32. Every repetition runs all losses once, so that a
busy machine slows them alike; times are medians. Memory is the most that lived at once between the inputs
and the gradient. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import statistics
import time
import weakref
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from pcdet_poly import losses

Loss = Callable[[Tensor, Tensor], Tensor]
HEATMAP = (1, 3, 468, 468)
ROWS, CLASSES = 20_000, 10


def plain_focal_heatmap(logits: Tensor, heatmap: Tensor) -> Tensor:
    """The penalty-reduced focal loss as one writes it down, with logsigmoid."""
    peak = (heatmap == 1).to(logits.dtype)
    p = torch.sigmoid(logits)
    at_peak = -F.logsigmoid(logits) * (1 - p) ** 2 * peak
    elsewhere = -F.logsigmoid(-logits) * p**2 * (1 - heatmap) ** 4 * (1 - peak)
    return at_peak + elsewhere


def list_heatmap_losses() -> dict[str, Loss]:
    """The heatmap losses by name, the plain one first."""
    per_class = torch.tensor([-1.0, 0.0, 1.0]).reshape(3, 1, 1)
    return {
        "heatmap focal, plain": plain_focal_heatmap,
        "Poly-1, epsilon 0": lambda x, y: losses.gaussian_poly1_focal(x, y, epsilon=0.0),
        "Poly-1, epsilon 1": lambda x, y: losses.gaussian_poly1_focal(x, y, epsilon=1.0),
        "Poly-1, epsilon -1": lambda x, y: losses.gaussian_poly1_focal(x, y, epsilon=-1.0),
        "Poly-1, per class": lambda x, y: losses.gaussian_poly1_focal(x, y, epsilon=per_class),
        "Poly-3": lambda x, y: losses.gaussian_poly_n_focal(x, y, epsilons=(-1.0, 0.5, 0.5)),
        "Drop-10": lambda x, y: losses.gaussian_drop_n_focal(x, y, num_terms=10),
    }


def list_softmax_losses() -> dict[str, Loss]:
    """The softmax losses by name, torch's own first."""
    return {
        "cross-entropy, torch": lambda x, y: F.cross_entropy(x, y, reduction="none"),
        "Poly-1, epsilon 0": lambda x, y: losses.poly1_cross_entropy(x, y, epsilon=0.0),
        "Poly-1, epsilon -1": lambda x, y: losses.poly1_cross_entropy(x, y, epsilon=-1.0),
        "Poly-1, smoothed": lambda x, y: losses.poly1_cross_entropy(x, y, epsilon=1.0, label_smoothing=0.1),
    }


def make_heatmap_inputs() -> tuple[Tensor, Tensor]:
    """Make logits as a head gives them early in training, and a target with a few peaks."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(HEATMAP, generator=generator) * 2 - 2.2
    heatmap = torch.rand(HEATMAP, generator=generator) ** 20
    heatmap.view(-1)[::5000] = 1
    return logits, heatmap


def make_softmax_inputs() -> tuple[Tensor, Tensor]:
    """Make logits (N, K) and class indices (N,)."""
    generator = torch.Generator().manual_seed(0)
    return torch.randn(ROWS, CLASSES, generator=generator), torch.randint(CLASSES, (ROWS,), generator=generator)


class _LiveStorage(TorchDispatchMode):
    """Counts the bytes of the tensors that operations return, for as long as they live."""

    def __init__(self) -> None:
        super().__init__()
        self.live: dict[int, int] = {}
        self.peak = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, Tensor):
                self._watch(tensor.untyped_storage())
        self.peak = max(self.peak, sum(self.live.values()))
        return result

    def _watch(self, storage: torch.UntypedStorage) -> None:
        if storage._cdata not in self.live:
            self.live[storage._cdata] = storage.nbytes()
            weakref.finalize(storage, self.live.pop, storage._cdata, None)


def measure_peak_bytes(loss: Loss, logits: Tensor, target: Tensor) -> int:
    """Measure the most bytes alive at once between the inputs and the gradient of the summed loss."""
    x = logits.detach().clone().requires_grad_()
    with _LiveStorage() as mode:
        loss(x, target).sum().backward()
    return mode.peak


def measure_milliseconds(candidates: dict[str, Loss], logits: Tensor, target: Tensor, repeat: int) -> dict[str, float]:
    """Measure the median time of forward and backward of each loss, the losses taking turns."""
    milliseconds: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(repeat + 2):
        for name, loss in candidates.items():
            x = logits.detach().clone().requires_grad_()
            start = time.perf_counter()
            loss(x, target).sum().backward()
            milliseconds[name].append(1e3 * (time.perf_counter() - start))
    return {name: statistics.median(times[2:]) for name, times in milliseconds.items()}  # the first two warm up


def compare_losses(title: str, candidates: dict[str, Loss], logits: Tensor, target: Tensor, repeat: int) -> None:
    """Print one table; ratios are against the first candidate."""
    milliseconds = measure_milliseconds(candidates, logits, target, repeat)
    memory = {name: measure_peak_bytes(loss, logits, target) / logits.nbytes for name, loss in candidates.items()}
    peer = next(iter(candidates))
    print(f"\n{title}\n\n| loss | ms | time ratio | peak memory, times the logits' | memory ratio |")
    print("|---|---|---|---|---|")
    for name in candidates:
        time_ratio, memory_ratio = milliseconds[name] / milliseconds[peer], memory[name] / memory[peer]
        print(f"| {name} | {milliseconds[name]:.1f} | {time_ratio:.2f} | {memory[name]:.1f} | {memory_ratio:.2f} |")


def compare_compiled(repeat: int) -> None:
    """Print the heatmap losses under torch.compile; a graph break is an error."""
    compiled = {name: torch.compile(loss, fullgraph=True) for name, loss in list(list_heatmap_losses().items())[:4]}
    found = measure_milliseconds(compiled, *make_heatmap_inputs(), repeat)
    print("\nUnder torch.compile, one graph each\n\n| loss | ms | time ratio |\n|---|---|---|")
    for name, milliseconds in found.items():
        print(f"| {name} | {milliseconds:.1f} | {milliseconds / found['heatmap focal, plain']:.2f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=30)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--compile", action="store_true", help="also under torch.compile (needs gcc, takes a minute)")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    shape = " x ".join(map(str, HEATMAP[1:]))
    compare_losses(f"Heatmap {shape}", list_heatmap_losses(), *make_heatmap_inputs(), arguments.repeat)
    compare_losses(f"Softmax {ROWS} x {CLASSES}", list_softmax_losses(), *make_softmax_inputs(), arguments.repeat)
    if arguments.compile:
        compare_compiled(arguments.repeat)


if __name__ == "__main__":
    main()
