"""numpy's files: what numpy writes is read, damage is one line, and no header is believed."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pcdet_poly.array_files import load_npy, load_npz
from pcdet_poly.errors import UserError

POINTS = np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32)


@pytest.mark.parametrize(
    "array",
    [
        POINTS,
        np.asfortranarray(POINTS),
        POINTS.astype(">f8"),
        np.zeros((0, 4)),
        np.array(3),
        np.array(["CAR", "ä"]),
        np.ones(3, [("x", "f4"), ("label", "i2", 2)]),
    ],
    ids=str,
)
def test_arrays_come_back(array: np.ndarray, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", array)
    np.savez(tmp_path / "a.npz", array, second=array)
    np.savez_compressed(tmp_path / "b.npz", array)
    packed = load_npz(tmp_path / "a.npz")
    assert list(packed) == ["second", "arr_0"]
    for found in (load_npy(tmp_path / "a.npy"), *packed.values(), load_npz(tmp_path / "b.npz")["arr_0"]):
        assert found.dtype == array.dtype
        np.testing.assert_array_equal(found, array)


@pytest.mark.parametrize("save", [np.save, np.savez, np.savez_compressed])
def test_damage_and_cuts_are_one_line(save: Callable[..., None], tmp_path: Path) -> None:
    stream = BytesIO()
    save(stream, POINTS)
    whole, read = stream.getvalue(), load_npy if save is np.save else load_npz
    rng, messages = np.random.default_rng(1), []
    path = tmp_path / ("a.npy" if save is np.save else "a.npz")
    damaged = [whole[:length] for length in rng.integers(len(whole) - 1, size=100)]
    for position in rng.integers(len(whole), size=500):
        damaged.append(whole[:position] + bytes([rng.integers(256)]) + whole[position + 1 :])
    for data in damaged:
        path.write_bytes(data)
        try:
            read(path)
        except UserError as error:
            messages.append(str(error))
    assert len(messages) > 150
    assert not [message for message in messages if "\n" in message or not message.startswith(f"{path}: not a readable")]


def test_cuts_of_npy_never_pass(tmp_path: Path) -> None:
    np.save(tmp_path / "whole.npy", POINTS)
    whole = (tmp_path / "whole.npy").read_bytes()
    for length in range(len(whole)):
        (tmp_path / "a.npy").write_bytes(whole[:length])
        with pytest.raises(UserError, match=r"not a readable \.npy file"):
            load_npy(tmp_path / "a.npy")


def _with_shape(shape: tuple[int, ...]) -> bytes:
    stream = BytesIO()
    header: dict[str, Any] = {"descr": "<f4", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(stream, header)
    return stream.getvalue() + bytes(64)


@pytest.mark.parametrize("shape", [(10**13, 4), (17,), (1 << 62, 1 << 62), (-1, 4)])
def test_claims_of_a_header_cost_no_memory(shape: tuple[int, ...], tmp_path: Path) -> None:
    """Refused by arithmetic, without trying."""
    (tmp_path / "a.npy").write_bytes(_with_shape(shape))
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("points.npy", _with_shape(shape))
    for read, name in ((load_npy, "a.npy"), (load_npz, "a.npz")):
        with pytest.raises(UserError, match="not a readable"):
            read(tmp_path / name)


def test_a_small_archive_does_not_inflate_to_gigabytes(tmp_path: Path) -> None:
    with (
        zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("points.npy", "w") as entry,
    ):
        for _ in range(12):
            entry.write(bytes(1 << 24))
    code = (
        "import pathlib, resource, sys; from pcdet_poly import array_files; from pcdet_poly.errors import UserError\n"
        "array_files.MAX_NPZ_BYTES = 1 << 26\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "try: array_files.load_npz(pathlib.Path(sys.argv[1]))\n"
        "except UserError as error: print(error)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "a.npz")], capture_output=True, text=True, check=True
    )
    message, grown_kb = run.stdout.splitlines()
    assert "its arrays take 201326592 bytes, at most 67108864 are read" in message
    assert int(grown_kb) < 20_000  # of 196,608 kB


def test_nothing_is_unpickled_and_no_other_compression_used(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([{}], object))
    with pytest.raises(UserError, match="cannot be loaded when allow_pickle=False"):
        load_npy(tmp_path / "a.npy")
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("points.npy", _with_shape((4,)))
    with pytest.raises(UserError, match=r"points.npy is compressed by method 14"):
        load_npz(tmp_path / "a.npz")
