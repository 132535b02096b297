"""What the benchmarks share: timing, a memory floor measured in the same run, a table, a LiDAR-like cloud."""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch import Tensor

MEASURE_S = 0.5  # of repetitions for one number, after a warm-up
LARGER_THAN_CACHES = 1 << 28  # bytes


@dataclass(frozen=True)
class Row:
    """One line of a table. `ms` is a median."""

    what: str
    ms: float | None  # None: not available here
    note: str = ""


def median_ms(function: Callable[[], object], device: str = "cpu", measure_s: float = MEASURE_S) -> float:
    """Median time of a call, until its result is there; calls are repeated for `measure_s`, at least five times."""
    function()
    times: list[float] = []
    while len(times) < 5 or (sum(times) < measure_s and len(times) < 1000):
        synchronize(device)
        begin = time.perf_counter()
        function()
        synchronize(device)
        times.append(time.perf_counter() - begin)
    return 1e3 * statistics.median(times)


def together_ms(functions: Sequence[Callable[[], object]], device: str = "cpu", rounds: int = 9) -> list[list[float]]:
    """Median time of each function in each round; they take turns of a tenth of a second.

    A machine that other work slows down for a while slows all of them down alike.
    """
    for function in functions:
        function()
    return [[median_ms(function, device, measure_s=0.1) for function in functions] for _ in range(rounds)]


def together_cpu_ms(functions: Sequence[Callable[[], object]], rounds: int) -> list[list[float]]:
    """CPU time of one call of each function in each round; who comes first changes from round to round.

    The time is the process's, which other work on the machine does not lengthen as it does that of the clock.
    """
    for function in functions:
        function()
    found = []
    for k in range(rounds):
        times = {}
        for i in sorted(range(len(functions)), reverse=k % 2 == 1):
            begin = time.process_time()
            functions[i]()
            times[i] = 1e3 * (time.process_time() - begin)
        found.append([times[i] for i in range(len(functions))])
    return found


def graph_ms(function: Callable[[], object], repeat: int = 20) -> float:
    """Time the GPU itself takes for a call that never waits: `repeat` of them replayed as one CUDA graph."""
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        function()
    stream.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=stream):
        for _ in range(repeat):
            function()
    return median_ms(graph.replay, "cuda") / repeat


def synchronize(device: str) -> None:
    """Wait for all that was started on the device."""
    if device == "cuda":
        torch.cuda.synchronize()


def memory_floor_ms(num_bytes: int, device: str = "cpu") -> float:
    """Time to move `num_bytes`, half of them read and half written, from and to memory beyond the caches."""
    half = num_bytes // 2
    source = torch.ones(LARGER_THAN_CACHES // half, half, dtype=torch.uint8, device=device)
    target = torch.ones_like(source)
    turn = iter(range(1 << 60))

    def copy() -> None:
        k = next(turn) % len(source)
        target[k].copy_(source[k])

    return median_ms(copy, device)


def from_memory(function: Callable[..., object], *inputs: Tensor) -> Callable[[], object]:
    """`function` of copies of the inputs that take turns, so that it finds none of them in a cache."""
    size = sum(tensor.nbytes for tensor in inputs)
    copies = [[tensor.clone() for tensor in inputs] for _ in range(max(LARGER_THAN_CACHES // size, 1))]
    turn = iter(range(1 << 60))
    return lambda: function(*copies[next(turn) % len(copies)])


def lidar_cloud(num_points: int, seed: int = 0) -> np.ndarray:
    """(P, 5) float32 x, y, z, tanh(intensity), elongation as a 64-beam LiDAR gives them: ground, walls, vegetation."""
    rng = np.random.default_rng(seed)
    beams = np.deg2rad(np.linspace(2.4, -17.6, 64))
    turn = np.linspace(np.pi, -np.pi, -(-num_points // 64), endpoint=False)
    wall_m = np.repeat(rng.gamma(2.0, 16.0, -(-len(turn) // 12)) + 4.0, 12)[: len(turn)]  # one surface each 1.6 degrees
    inclination, azimuth = np.meshgrid(beams, turn, indexing="ij")
    ground_m = np.where(inclination < -0.01, 1.9 / np.tan(np.maximum(-inclination, 0.01)), np.inf)
    range_m = np.minimum(ground_m, wall_m + rng.normal(0, 0.15, inclination.shape))
    range_m *= 1 + rng.normal(0, 0.002, range_m.shape)
    x, y = range_m * np.cos(azimuth), range_m * np.sin(azimuth)
    z = 1.9 + range_m * np.tan(inclination)
    rest = rng.random((2, *x.shape))
    return np.stack([x, y, z, *rest], axis=-1).reshape(-1, 5)[:num_points].astype(np.float32)


def main(description: str, rows: Callable[[str], Iterable[Row]]) -> None:
    """Command line of a benchmark: `rows(device)` as a table, or as JSON lines."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads for torch (ours use one)")
    parser.add_argument("--json", action="store_true", help="one JSON object per row")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    report(rows(arguments.device), arguments.device, as_json=arguments.json)


def report(rows: Iterable[Row], device: str, *, as_json: bool = False) -> None:
    """Print rows as they come."""
    name = (
        torch.cuda.get_device_name() if device == "cuda" else f"{platform.machine()}, {torch.get_num_threads()} threads"
    )
    if not as_json:
        print(f"\n{name}, torch {torch.__version__}\n\n| | ms | |\n|---|---|---|", flush=True)
    for row in rows:
        if as_json:
            print(json.dumps(asdict(row) | {"device": name, "torch": torch.__version__}), flush=True)
        else:
            print(f"| {row.what} | {'-' if row.ms is None else f'{row.ms:.3g}'} | {row.note} |", flush=True)
