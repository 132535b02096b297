"""Where the checks run: a GPU, or for a dry run the CPU with tiny inputs and Triton's interpreter."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from pcdet_poly.engine.precision import check_precision
from pcdet_poly.errors import UserError
from pcdet_poly.experiments.gpu_check.operations import FULL, TINY, Sizes
from pcdet_poly.ops.dispatch import interpret_kernels


@dataclass(frozen=True)
class Place:
    """A device, and how much is asked of it."""

    device: str  # cuda, or cpu for a dry run

    @property
    def is_dry(self) -> bool:
        """Whether this is a dry run."""
        return self.device == "cpu"

    @property
    def sizes(self) -> Sizes:
        """Of the inputs of operations."""
        return TINY if self.is_dry else FULL

    @property
    def name(self) -> str:
        """Of the device, as a table shows it."""
        return "dry run on a CPU" if self.is_dry else torch.cuda.get_device_name()

    @contextmanager
    def use_kernels(self) -> Iterator[None]:
        """Compute operations by the GPU's kernels; the CPU interprets them."""
        if not self.is_dry:
            yield
            return
        with interpret_kernels():
            yield

    def can_compute_in(self, kind: str) -> bool:
        """Whether networks can be trained in `bf16` or `fp16` here."""
        try:
            check_precision(torch.device(self.device), kind)  # type: ignore[arg-type]
        except UserError:
            return False
        return True

    def wait(self) -> None:
        """Wait for all that was started."""
        if not self.is_dry:
            torch.cuda.synchronize()

    def start_memory_count(self) -> None:
        """Forget what memory was in use at most."""
        if not self.is_dry:
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()

    def read_peak_memory_gb(self) -> float:
        """Read the memory that tensors took at most since the count started; 0 in a dry run."""
        return 0.0 if self.is_dry else torch.cuda.max_memory_allocated() / 1e9

    def measure_ms(self, function: Callable[[], object], budget_s: float = 0.5) -> float:
        """Measure the median milliseconds of a call, until its result is there, after one that does not count."""
        function()
        times: list[float] = []
        fewest = 1 if self.is_dry else 5
        while len(times) < fewest or (not self.is_dry and sum(times) < budget_s and len(times) < 200):
            self.wait()
            begin_s = time.perf_counter()
            function()
            self.wait()
            times.append(time.perf_counter() - begin_s)
        return 1e3 * statistics.median(times)
