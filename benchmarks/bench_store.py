"""Size and speed of the frame store against common containers of the same points.

    python -m benchmarks.bench_store [FILE.tfrecord | STORE ...] [--repeat N]

Takes the frame with the most points of each input; the default is the synthetic full-size record of
the tests, whose intensity and elongation are noise, the worst case for any compressor. Prints a
Markdown table per input: CPU time on one core, files in the page cache; then whether the store meets
its bars: sizes (meant for real points), time to read a random frame, and size against float32 .npy.
Blosc2 and Zarr are compared where they are installed (pip install blosc2 zarr).
"""

from __future__ import annotations

import argparse
import io
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pcdet_poly.config.sections.data import AugmentConfig
from pcdet_poly.data.load.augment import augment
from pcdet_poly.data.load.collate import collate
from pcdet_poly.data.store.arrow_points import PRECISIONS, Precision
from pcdet_poly.data.store.frame_store import Store
from pcdet_poly.data.store.segment_file import open_writer, read_archive_directory, read_frame
from pcdet_poly.structures import WAYMO_CLASSES, Frame
from pcdet_poly.waymo import read_frames

DEFAULT = Path(__file__).parent.parent / "tests" / "assets" / "waymo" / "synth_frame.tfrecord"
NUM_POINTS = 175_000  # of a usual Waymo frame with both returns; sizes are scaled to it
FRAMES_IN_SEGMENT = 20
MAX_MB = {"exact": 2.6, "compact": 1.3}
MAX_READ_MS = 8.0
MIN_TIMES_SMALLER = 3.0  # compact than float32 .npy


@dataclass(frozen=True)
class Container:
    """One way of keeping points."""

    name: str
    write: Callable[[], object]
    read: Callable[[], np.ndarray]
    num_bytes: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("inputs", nargs="*", type=Path, default=[DEFAULT])
    parser.add_argument("--repeat", type=int, default=20)
    arguments = parser.parse_args()
    pa.set_cpu_count(1)
    for path in arguments.inputs:
        frames: Iterable[Frame] = Store(path) if path.is_dir() else read_frames(path)
        compare(path.name, max(frames, key=lambda frame: len(frame.points)), arguments.repeat)


def compare(name: str, frame: Frame, repeat: int) -> None:
    """Print the table of one frame."""
    scale = NUM_POINTS / len(frame.points) / 1e6
    print(f"\n{name}: {len(frame.points):,} points, {len(frame.columns)} columns, {len(frame.ground_truth)} objects")
    print(f"\n| container | MB at {NUM_POINTS:,} points | bytes/point | read ms | write ms | largest error mm |")
    print("|---|---|---|---|---|---|")
    mb: dict[str, float] = {}
    read_ms: dict[str, float] = {}
    with TemporaryDirectory() as folder:
        for container in containers(frame, Path(folder)):
            error = 1e3 * np.abs(container.read()[:, :3] - frame.points[:, :3]).max(initial=0)
            sizes = f"{container.num_bytes * scale:.2f} | {container.num_bytes / len(frame.points):.2f}"
            read, write = (milliseconds(step, repeat) for step in (container.read, container.write))
            print(f"| {container.name} | {sizes} | {read:.1f} | {write:.1f} | {error:.2f} |")
            mb[container.name], read_ms[container.name] = container.num_bytes * scale, read
    print_bars(mb, read_ms)
    rng = np.random.default_rng(0)
    augmented = milliseconds(lambda: augment(frame, rng, AugmentConfig()), repeat)
    collated = milliseconds(lambda: collate([frame], WAYMO_CLASSES), repeat)
    print(f"\naugmentation {augmented:.1f} ms, collation {collated:.1f} ms")


def print_bars(mb: Mapping[str, float], read_ms: Mapping[str, float]) -> None:
    """One line per bar."""
    bars = []
    for precision, limit in MAX_MB.items():
        name = ours(precision)
        bars.append((f"{precision}: {mb[name]:.2f} MB, at most {limit}", mb[name] <= limit))
        bars.append(
            (f"{precision}: {read_ms[name]:.1f} ms to read, at most {MAX_READ_MS}", read_ms[name] <= MAX_READ_MS)
        )
    times = mb["float32 .npy"] / mb[ours("compact")]
    bars.append((f"compact: {times:.1f} x smaller than .npy, at least {MIN_TIMES_SMALLER}", times >= MIN_TIMES_SMALLER))
    print()
    for bar, is_met in bars:
        print(f"- {bar}: {'ok' if is_met else 'MISSED'}")


def ours(precision: str) -> str:
    """Name of this project's container in the table."""
    return f"**frame store, {precision}**"


def containers(frame: Frame, folder: Path) -> list[Container]:
    """This project's two precisions, labels and all, and the points alone in other formats."""
    stores = [store_of(frame, folder, precision) for precision in PRECISIONS]
    table = pa.table({name: np.ascontiguousarray(frame.points[:, i]) for i, name in enumerate(frame.columns)})
    return [
        *stores,
        in_memory("float32 .npy", lambda f: np.save(f, frame.points), np.load),
        in_memory("compressed .npz", lambda f: np.savez_compressed(f, p=frame.points), lambda f: np.load(f)["p"]),
        in_memory("Parquet, defaults", lambda f: pq.write_table(table, f), _read_parquet),
        in_memory("Parquet, zstd", lambda f: pq.write_table(table, f, compression="zstd"), _read_parquet),
        in_memory("Arrow IPC, zstd", lambda f: _write_arrow(table, f), _read_arrow),
        *extras(np.ascontiguousarray(frame.points.T)),
    ]


def extras(by_column: np.ndarray) -> list[Container]:
    """Containers whose libraries are not needed otherwise, as far as they are installed; by_column: (C, P) float32."""
    found = []
    for library, container in (("blosc2", _blosc2), ("zarr", _zarr)):
        try:
            found.append(container(by_column, import_module(library)))
        except ImportError:
            print(f"(no row for {library}: pip install {library})")
    return found


def _blosc2(by_column: np.ndarray, blosc2: Any) -> Container:
    blosc2.set_nthreads(1)
    settings = {"codec": blosc2.Codec.ZSTD, "clevel": 1, "filters": [blosc2.Filter.SHUFFLE], "nthreads": 1}
    return in_memory(
        "Blosc2, bytes shuffled, zstd",
        lambda f: f.write(blosc2.pack_tensor(by_column, cparams=settings)),
        lambda f: blosc2.unpack_tensor(f.getvalue()).T,
    )


def _zarr(by_column: np.ndarray, zarr: Any) -> Container:
    """A chunk per column."""
    codec = zarr.codecs.BloscCodec(cname="zstd", clevel=1, shuffle="shuffle")

    def write() -> Any:
        store = zarr.storage.MemoryStore()
        chunks = (1, by_column.shape[1])
        array = zarr.create_array(store, shape=by_column.shape, chunks=chunks, dtype="f4", compressors=codec)
        array[:] = by_column
        return store

    store = write()
    num_bytes = sum(len(value) for value in store._store_dict.values())
    return Container("Zarr, bytes shuffled, zstd", write, lambda: zarr.open_array(store, mode="r")[:].T, num_bytes)


def store_of(frame: Frame, folder: Path, precision: Precision) -> Container:
    """A segment of this project's store; read at random positions."""
    path = folder / f"{precision}.zip"

    def write(count: int = 1) -> None:
        with open_writer(path if count > 1 else folder / "one.zip", precision) as writer:
            for _ in range(count):
                writer.write_frame(frame)

    write(FRAMES_IN_SEGMENT)
    directory = read_archive_directory(path)
    rng = np.random.default_rng(0)

    def read() -> np.ndarray:
        return read_frame(directory, int(rng.integers(FRAMES_IN_SEGMENT))).points

    return Container(ours(precision), write, read, directory.file_bytes // FRAMES_IN_SEGMENT)


def in_memory(name: str, write: Callable[[io.BytesIO], object], read: Callable[[io.BytesIO], np.ndarray]) -> Container:
    """A container that is written to and read from memory, which favours it."""
    target = io.BytesIO()
    write(target)
    data = target.getvalue()
    return Container(name, lambda: write(io.BytesIO()), lambda: read(io.BytesIO(data)), len(data))


def _columns(table: pa.Table) -> np.ndarray:
    return np.stack([column.to_numpy() for column in table.columns], axis=1)


def _read_parquet(file: io.BytesIO) -> np.ndarray:
    return _columns(pq.read_table(file, use_threads=False))


def _write_arrow(table: pa.Table, file: io.BytesIO) -> None:
    options = pa.ipc.IpcWriteOptions(compression="zstd", use_threads=False)
    with pa.ipc.new_file(file, table.schema, options=options) as writer:
        writer.write_table(table)


def _read_arrow(file: io.BytesIO) -> np.ndarray:
    return _columns(pa.ipc.open_file(file).read_all())


def milliseconds(step: Callable[[], object], repeat: int) -> float:
    """Median CPU time of one call."""
    step()
    times = []
    for _ in range(repeat):
        start = time.process_time()
        step()
        times.append(time.process_time() - start)
    return 1e3 * sorted(times)[len(times) // 2]


if __name__ == "__main__":
    main()
