"""The .npz of both sides: damaged and odd files are one clear line, and never other boxes."""

from __future__ import annotations

import io
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pcdet_poly.commands.main import main
from pcdet_poly.errors import UserError
from pcdet_poly.evaluation.box_tables import EvaluationSet
from pcdet_poly.evaluation.files import npz_arrays
from pcdet_poly.evaluation.files.flat_arrays import build_set_of_arrays, flatten_set, read_flat_arrays
from tests.evaluation.random_sets import build_random_set

CHANGES, CUTS = 500, 100


@pytest.fixture(scope="module")
def arrays() -> dict[str, np.ndarray]:
    return flatten_set(build_random_set(0, frames=2, objects=6))


def are_equal(first: EvaluationSet, second: EvaluationSet) -> bool:
    pairs = [(first.predictions, second.predictions), (first.objects, second.objects)]
    columns = [(ours.columns()[name], theirs.columns()[name]) for ours, theirs in pairs for name in ours.columns()]
    return first.frames == second.frames and all(np.array_equal(a, b) for a, b in columns)


def check_outcome(path: Path, expected: EvaluationSet) -> bool:
    """Read the file: whether it was refused, with one line that names it. Anything else must give what was written."""
    try:
        boxes = read_flat_arrays(path)
    except UserError as error:
        message = str(error)
    else:
        assert are_equal(boxes, expected), "a damaged file reads as other boxes"
        return False
    assert message.startswith(f"{path}: ")
    assert len(message.splitlines()) == 1
    return True


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_changed_bytes_are_found(tmp_path: Path, arrays: dict[str, np.ndarray], save: Callable[..., None]) -> None:
    path = tmp_path / "both.npz"
    save(path, **arrays)
    whole, expected = path.read_bytes(), read_flat_arrays(path)
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(CHANGES):
        damaged = bytearray(whole)
        damaged[rng.integers(len(whole))] ^= rng.integers(1, 256)
        path.write_bytes(damaged)
        refused += check_outcome(path, expected)
    assert refused > CHANGES / 2, "most bytes are of arrays, whose checksum finds any change of one"


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_cut_files_are_found(tmp_path: Path, arrays: dict[str, np.ndarray], save: Callable[..., None]) -> None:
    path = tmp_path / "both.npz"
    save(path, **arrays)
    whole, expected = path.read_bytes(), read_flat_arrays(path)
    for end in np.random.default_rng(1).integers(0, len(whole), CUTS):
        path.write_bytes(whole[:end])
        assert check_outcome(path, expected)


@pytest.mark.parametrize(
    ("name", "odd", "message"),
    [
        ("pd_box", lambda v: v[:, :6], r"pd_box has the shape \(\d+, 6\); give numbers \(N, 7\)"),
        ("pd_box", lambda v: v.ravel(), r"pd_box has the shape"),
        ("pd_box", lambda v: v.astype("U9"), r"pd_box is an array of <U9; give numbers"),
        ("pd_box", lambda v: v.astype(complex), r"pd_box is an array of complex128"),
        ("pd_box", lambda v: np.where(v == v[3, 0], np.nan, v), r"pd_box: box 3 is \(nan"),
        ("pd_score", lambda v: v[:, None], r"pd_score has the shape \(\d+, 1\)"),
        ("pd_score", lambda v: v.astype(bytes), r"pd_score is an array of"),
        ("pd_score", lambda v: np.array(0.5), r"pd_score has the shape \(\)"),
        ("pd_frame", lambda v: v + 0.5, r"pd_frame of box 0 is 0.5; give whole numbers"),
        ("pd_frame", lambda v: np.where(v >= 0, np.inf, 0), r"pd_frame of box 0 is inf"),
        ("pd_frame", lambda v: v.astype("M8[s]"), r"pd_frame is an array of datetime64"),
        ("pd_frame", lambda v: v.astype(np.uint64) + 2**63, r"pd_frame of box 0 is 9223372036854775808"),
        ("pd_frame", lambda v: v[:3], r"pd_\w+ has \d+ rows, pd_frame 3; give one row per box"),
        ("pd_type", lambda v: v + 0.5, r"pd_type of box 0 is"),
        ("pd_type", lambda v: v + 4, r"pd_type: box 0 has type"),
        ("pd_nlz", lambda v: v + 2, r"pd_nlz of box 0 is \d; give whole numbers 0 to 1"),
        ("gt_difficulty", lambda v: v + 3, r"gt_difficulty of box 0 is \d; give whole numbers 0 to 2"),
        ("gt_speed", lambda v: v[:, :1], r"gt_speed has the shape \(\d+, 1\); give numbers \(N, 2\)"),
        ("gt_speed", lambda v: np.zeros((len(v), 2, 0)), r"gt_speed has the shape"),
        ("gt_box", lambda v: np.zeros((0, 10**9)), r"gt_box has the shape \(0, 1000000000\)"),
    ],
)
def test_odd_arrays_are_named(
    arrays: dict[str, np.ndarray], name: str, odd: Callable[[np.ndarray], np.ndarray], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        build_set_of_arrays(arrays | {name: odd(arrays[name])}, "both.npz")


@pytest.mark.parametrize(
    "form",
    [
        lambda v: v.astype(np.float64) if v.dtype.kind != "b" else v.astype(np.int8),
        lambda v: v.astype(v.dtype.newbyteorder()),
        lambda v: np.asfortranarray(v),
    ],
    ids=["other numbers", "other byte order", "columns first"],
)
def test_the_same_numbers_in_another_form_are_the_same_boxes(
    tmp_path: Path, arrays: dict[str, np.ndarray], form: Callable[[np.ndarray], np.ndarray]
) -> None:
    np.savez(tmp_path / "form.npz", **{name: form(values) for name, values in arrays.items()}, note=np.array("a text"))
    assert are_equal(read_flat_arrays(tmp_path / "form.npz"), build_set_of_arrays(arrays, "both.npz"))


def write_members(path: Path, members: dict[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)


def header(shape: tuple[int, ...], dtype: str = "<f4") -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"shape": shape, "fortran_order": False, "descr": dtype})
    return file.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        header((10**13,)),
        header((10**9, 10**9, 10**9)) + bytes(64),
        header((0, 10**18), "<f4") + bytes(4),
        header((10**12,), "<U0"),
        header((-1,)) + bytes(64),
        header((3,), "|O") + bytes(24),
        b"\x93NUMPY\x01\x00\xff\xff{",
        b"\x93NUMPY\x07\x00" + bytes(80),
        b"\x93NUMPY\x01\x00\x40\x00" + b"(" * 64,
        b"",
        b"text",
    ],
)
def test_headers_that_claim_what_is_not_there_take_no_memory(tmp_path: Path, data: bytes) -> None:
    write_members(tmp_path / "both.npz", {"pd_frame.npy": data})
    tracemalloc.start()
    with pytest.raises(UserError, match=r"both\.npz: not an \.npz of arrays, or damaged \("):
        read_flat_arrays(tmp_path / "both.npz")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10e6


def test_a_small_file_that_inflates_beyond_the_limit_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_members(tmp_path / "both.npz", {"pd_frame.npy": header((10**7,)) + bytes(4 * 10**7)})
    assert (tmp_path / "both.npz").stat().st_size < 1e5
    monkeypatch.setattr(npz_arrays, "MAX_BYTES", 10**7)
    with pytest.raises(UserError, match="at most 10000000 are read; set PCDET_POLY_MAX_EVALUATION_BYTES to more"):
        read_flat_arrays(tmp_path / "both.npz")


@pytest.mark.parametrize("content", [b"", b"PK\x05\x06", b"no zip", b"\x80\x04K\x01.", header((1,)) + bytes(4)])
def test_the_command_says_it_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes) -> None:
    path = tmp_path / "both.npz"
    path.write_bytes(content)
    assert main(["evaluate", str(path)]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: {path}: not an .npz of arrays, or damaged")
    assert error.count("\n") == 1
