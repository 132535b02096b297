"""PLY and PCD files: whole ones as open3d reads them, cut and damaged ones as one line or with the same points."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pcdet_poly.data.convert.lzf import decompress_lzf
from pcdet_poly.data.convert.pcd_file import read_pcd
from pcdet_poly.data.convert.ply_file import read_ply
from pcdet_poly.data.convert.point_clouds import read_cloud
from pcdet_poly.errors import UserError
from pcdet_poly.optional_libraries import load_open3d

NUM_POINTS = 40
NUMPY_KINDS = {
    "char": "i1",
    "uchar": "u1",
    "short": "i2",
    "ushort": "u2",
    "int": "i4",
    "uint": "u4",
    "float": "f4",
    "double": "f8",
}
# Fields of clouds as tools write them: other types, another order, fields that nobody reads.
LAYOUTS = {
    "plain": {"x": "float", "y": "float", "z": "float", "intensity": "float"},
    "doubles": {"x": "double", "y": "double", "z": "double", "intensity": "uchar"},
    "order": {"ring": "ushort", "intensity": "short", "z": "double", "t": "uint", "y": "float", "x": "float"},
    "bare": {"x": "float", "y": "float", "z": "float"},
}


def make_columns(layout: str) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(3)
    return {
        name: rng.uniform(0 if kind.startswith("u") else -99, 99, NUM_POINTS).astype(NUMPY_KINDS[kind])
        for name, kind in LAYOUTS[layout].items()
    }


def pack_rows(columns: dict[str, np.ndarray], order: str) -> bytes:
    rows = np.empty(NUM_POINTS, [(name, values.dtype.newbyteorder(order)) for name, values in columns.items()])
    for name, values in columns.items():
        rows[name] = values
    return rows.tobytes()


def print_rows(columns: dict[str, np.ndarray]) -> bytes:
    rows = zip(*(values.tolist() for values in columns.values()), strict=True)
    return "".join(" ".join(map(repr, row)) + "\n" for row in rows).encode()


def make_ply(layout: str, encoding: str, *, faces: bool = False, line_end: str = "\n") -> bytes:
    columns = make_columns(layout)
    order = {"binary_little_endian": "<", "binary_big_endian": ">", "ascii": ""}[encoding]
    lines = ["ply", f"format {encoding} 1.0", "comment end_header", f"element vertex {NUM_POINTS}"]
    lines += [f"property {kind} {name}" for name, kind in LAYOUTS[layout].items()]
    body = pack_rows(columns, order) if order else print_rows(columns)
    if faces:
        lines += ["element face 2", "property uchar flags", "property list uchar int vertex_indices"]
        body += (
            struct.pack(f"{order}BB3iBB4i", 7, 3, 0, 1, 2, 7, 4, 0, 1, 2, 3) if order else b"7 3 0 1 2\n7 4 0 1 2 3\n"
        )
    return line_end.join([*lines, "end_header", ""]).encode() + body


def make_pcd(layout: str, encoding: str) -> bytes:
    columns = make_columns(layout)
    kinds = {name: values.dtype for name, values in columns.items()}
    lines = ["# .PCD v0.7 - Point Cloud Data file format", "VERSION 0.7", f"FIELDS {' '.join(columns)}"]
    lines += [f"SIZE {' '.join(str(kind.itemsize) for kind in kinds.values())}"]
    lines += [
        f"TYPE {' '.join(kind.kind.upper() for kind in kinds.values())}",
        f"COUNT {' '.join('1' for _ in columns)}",
    ]
    lines += [f"WIDTH {NUM_POINTS // 2}", "HEIGHT 2", "VIEWPOINT 0 0 0 1 0 0 0", f"POINTS {NUM_POINTS}"]
    body = {"ascii": print_rows, "binary": lambda given: pack_rows(given, "<"), "binary_compressed": _compress}[
        encoding
    ]
    return "\n".join([*lines, f"DATA {encoding}", ""]).encode() + body(columns)


def _compress(columns: dict[str, np.ndarray]) -> bytes:
    """LZF that copies nothing: literals of up to 32 bytes."""
    data = b"".join(values.tobytes() for values in columns.values())
    parts = [data[start : start + 32] for start in range(0, len(data), 32)]
    compressed = b"".join(bytes([len(part) - 1]) + part for part in parts)
    return struct.pack("<II", len(compressed), len(data)) + compressed


PLY_ENCODINGS = ("ascii", "binary_little_endian", "binary_big_endian")
PCD_ENCODINGS = ("ascii", "binary", "binary_compressed")
FILES: dict[str, tuple[Callable[[Path], dict[str, np.ndarray]], bytes, str]] = {
    f"{layout} {encoding} {ending}": (read, make(layout, encoding), layout)
    for layout in LAYOUTS
    for ending, read, make, encodings in (
        ("ply", read_ply, make_ply, PLY_ENCODINGS),
        ("pcd", read_pcd, make_pcd, PCD_ENCODINGS),
    )
    for encoding in encodings
} | {
    f"faces {encoding} ply": (read_ply, make_ply("plain", encoding, faces=True), "plain") for encoding in PLY_ENCODINGS
}


def assert_columns(found: dict[str, np.ndarray], layout: str) -> None:
    wanted = make_columns(layout)
    assert list(found) == list(wanted)
    for name, values in wanted.items():
        np.testing.assert_array_equal(found[name], values, err_msg=name)


@pytest.mark.parametrize("name", FILES)
def test_every_field_comes_back_in_full(name: str, tmp_path: Path) -> None:
    read, data, layout = FILES[name]
    (tmp_path / "a").write_bytes(data)
    assert_columns(read(tmp_path / "a"), layout)


# open3d invents coordinates where x, y and z are not of one type (`order`).
@pytest.mark.parametrize("name", [name for name in FILES if "order" not in name])
def test_open3d_reads_the_same(name: str, tmp_path: Path) -> None:
    library = load_open3d()
    path = tmp_path / f"a.{name[-3:]}"
    path.write_bytes(FILES[name][1])
    cloud = library.t.io.read_point_cloud(str(path))
    found = read_cloud(path)
    np.testing.assert_array_equal(found.points[:, :3], cloud.point.positions.numpy().astype(np.float32))
    if "intensity" in cloud.point:
        np.testing.assert_array_equal(found.points[:, 3], cloud.point["intensity"].numpy()[:, 0].astype(np.float32))


@pytest.mark.parametrize("ending", ["ply", "pcd"])
@pytest.mark.parametrize(("ascii_", "compressed"), [(True, False), (False, False), (False, True)])
def test_what_open3d_writes_is_read(ending: str, ascii_: bool, compressed: bool, tmp_path: Path) -> None:
    """Compressed, of values that repeat, so that LZF copies from before and over itself."""
    library = load_open3d()
    rng = np.random.default_rng(0)
    values = np.round(rng.uniform(-50, 50, (3000, 3))).astype(np.float32)
    values[1000:1500] = values[0]
    cloud = library.t.geometry.PointCloud(library.core.Tensor(values))
    cloud.point["intensity"] = library.core.Tensor(np.repeat(rng.uniform(0, 1, (30, 1)), 100, 0).astype(np.float32))
    path = tmp_path / f"a.{ending}"
    library.t.io.write_point_cloud(str(path), cloud, write_ascii=ascii_, compressed=compressed)
    found = read_cloud(path).points
    # Whole numbers, which text and float32 hold exactly.
    np.testing.assert_allclose(found[:, :3], values, rtol=1e-6)
    # Text has six digits: half of the last is 5e-6 of a value at most.
    np.testing.assert_allclose(found[:, 3], cloud.point["intensity"].numpy()[:, 0], rtol=1e-5)


@pytest.mark.parametrize("name", [name for name in FILES if name.startswith(("plain", "order", "faces"))])
def test_no_cut_invents_or_loses_a_point(name: str, tmp_path: Path) -> None:
    """Every cut is one line. Text has no end mark: a cut in its last number or line end may pass."""
    read, data, _ = FILES[name]
    path = tmp_path / "a"
    last = len(data.split()[-1]) + 1 if " ascii " in name else 1
    for length in [*range(0, len(data) - last, 1 if len(data) < 1500 else 3), len(data) - last]:
        path.write_bytes(data[:length])
        with pytest.raises(UserError) as caught:
            read(path)
        assert "\n" not in str(caught.value)
        assert str(caught.value).startswith(str(path))


@pytest.mark.parametrize("name", FILES)
def test_a_changed_byte_is_one_line_or_as_many_points(name: str, tmp_path: Path) -> None:
    """The formats have no checksum: values may change, their number may not."""
    read, data, _ = FILES[name]
    path = tmp_path / "a"
    rng, messages = np.random.default_rng(0), []
    for position in rng.integers(len(data), size=150):
        damaged = bytearray(data)
        damaged[position] = rng.integers(256)
        path.write_bytes(damaged)
        try:
            lengths = {len(values) for values in read(path).values()}
        except UserError as error:
            messages.append(str(error))
        else:
            assert lengths <= {NUM_POINTS}
    assert not [message for message in messages if "\n" in message]


@pytest.mark.parametrize("surplus", [b"\n", b"\r\n\0\0", b" " * 5])
@pytest.mark.parametrize(
    "name", ["plain ascii ply", "plain binary_big_endian ply", "plain ascii pcd", "plain binary pcd"]
)
def test_padding_may_follow_and_more_rows_may_not(name: str, surplus: bytes, tmp_path: Path) -> None:
    read, data, layout = FILES[name]
    if " ascii " in name:
        surplus = surplus.replace(b"\0", b"")
    (tmp_path / "a").write_bytes(data + surplus)
    assert_columns(read(tmp_path / "a"), layout)
    (tmp_path / "a").write_bytes(data + b"1 2 3 4\n")
    with pytest.raises(UserError, match="behind the rows that the header announces"):
        read(tmp_path / "a")


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_line_ends_of_ply(line_end: str, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(make_ply("plain", "binary_little_endian", line_end=line_end))
    assert_columns(read_ply(tmp_path / "a"), "plain")


def test_fields_of_several_numbers_and_unused_ones(tmp_path: Path) -> None:
    """PCL names padding `_`, as often as it likes."""
    rows = np.zeros(2, [("_0", "u1", 3), ("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("_1", "u1", 4), ("n", "<f4", 3)])
    rows["x"], rows["n"] = [1, 2], [[3, 4, 5], [6, 7, 8]]
    header = (
        "FIELDS _ x y z _ n\nSIZE 1 4 4 4 1 4\nTYPE U F F F U F\nCOUNT 3 1 1 1 4 3\nWIDTH 2\nHEIGHT 1\nDATA binary\n"
    )
    (tmp_path / "a").write_bytes(header.encode() + rows.tobytes())
    found = read_pcd(tmp_path / "a")
    assert (found["x"].tolist(), found["n"].tolist()) == ([1, 2], [3, 6])


def _replace(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    def change(data: bytes) -> bytes:
        assert old in data
        return data.replace(old, new, 1)

    return change


@pytest.mark.parametrize(
    ("name", "change", "complaint"),
    [
        (
            "plain binary_little_endian ply",
            _replace(b"vertex 40", b"vertex 41"),
            "656 bytes .41 rows of 16. announced, 640",
        ),
        (
            "plain binary_little_endian ply",
            _replace(b"vertex 40", b"vertex 999999999999999"),
            "announced, 640 bytes there",
        ),
        ("plain binary_little_endian ply", _replace(b"vertex 40", b"vertex -1"), "'-1' is not a count"),
        ("plain binary_little_endian ply", _replace(b"vertex 40", b"vertex 4" + b"0" * 30), "is not a count"),
        ("plain binary_little_endian ply", _replace(b"vertex 40", b"vertex 39"), "16 bytes behind the rows"),
        ("plain binary_little_endian ply", _replace(b"float z", b"quad z"), "'property quad z' is not PLY"),
        ("plain binary_little_endian ply", _replace(b"float z", b"float x"), "two of one name"),
        ("plain binary_little_endian ply", _replace(b"1.0", b"2.0"), "'format binary_little_endian 2.0' is not PLY"),
        ("plain binary_little_endian ply", _replace(b"vertex", b"corner"), "no element 'vertex'"),
        ("faces binary_little_endian ply", _replace(b"face 2", b"face 99999999"), "99999999 rows announced, 2 there"),
        ("plain ascii ply", _replace(b"vertex 40", b"vertex 999999999999999"), "announced, 40 lines there"),
        ("plain ascii ply", _replace(b"\nend_header\n", b"\nend_header\n1 2 3\n"), "not rows of numbers"),
        ("plain binary pcd", _replace(b"POINTS 40", b"POINTS 41"), "41 points, but 20 x 2 announced"),
        ("plain binary pcd", _replace(b"WIDTH 20", b"WIDTH 99999999999"), "40 points, but 99999999999 x 2 announced"),
        ("plain binary pcd", _replace(b"SIZE 4", b"SIZE 3"), "TYPE F and SIZE 3"),
        ("plain binary pcd", _replace(b"COUNT 1", b"COUNT 99999999"), "at most 65536 numbers per point"),
        ("plain binary pcd", _replace(b"COUNT 1 1", b"COUNT 1"), "differ in length"),
        ("plain binary pcd", _replace(b"DATA binary", b"DATA zipped"), "DATA zipped; ascii, binary or"),
        ("plain binary pcd", _replace(b"HEIGHT 2", b"HIGHT 2"), "not a PCD file"),
        ("plain binary_compressed pcd", _replace(b"COUNT 1", b"COUNT 2"), "660 compressed bytes said to hold 640, 800"),
    ],
)
def test_headers_that_do_not_fit(name: str, change: Callable[[bytes], bytes], complaint: str, tmp_path: Path) -> None:
    read, data, _ = FILES[name]
    (tmp_path / "a").write_bytes(change(data))
    with pytest.raises(UserError, match=complaint):
        read(tmp_path / "a")


def test_a_header_that_claims_terabytes_costs_no_memory(tmp_path: Path) -> None:
    """LZF's three bytes stand for at most 264: more is refused before any memory is asked for."""
    fields = "FIELDS x y z\nSIZE 4 4 4\nTYPE F F F\nWIDTH 300000000\nHEIGHT 1\nDATA binary_compressed\n"
    body = struct.pack("<II", 1000, 3_600_000_000) + bytes(1000)
    (tmp_path / "a").write_bytes(fields.encode() + body)
    with pytest.raises(UserError, match="1000 compressed bytes said to hold 3600000000"):
        read_pcd(tmp_path / "a")


@pytest.mark.parametrize(
    ("stream", "wanted"),
    [
        (b"\x02abc", b"abc"),
        (b"\x00a\xe0\x00\x00", b"a" * 10),  # a copy over itself: 9 bytes from 1 before
        (b"\x01ab\x20\x01", b"ababa"),  # 3 bytes from 2 before
        (b"\x00a\xe0\xff\x00", b"a" * 265),  # the longest copy: 264 bytes
        (b"", b""),
    ],
)
def test_lzf(stream: bytes, wanted: bytes) -> None:
    assert decompress_lzf(np.frombuffer(stream, np.uint8), len(wanted), "a").tobytes() == wanted


@pytest.mark.parametrize(
    ("stream", "num_bytes"),
    [
        (b"\x02ab", 3),  # literals that end early
        (b"\x02abc", 2),  # more than there is room for
        (b"\x02abc", 4),
        (b"\x00a\x20", 4),  # a copy without its distance
        (b"\x00a\xe0", 4),  # a copy without its length
        (b"\x00a\x20\x01", 4),  # a copy from before the beginning
        (b"\x00a\xe0\x00\x00", 9),
    ],
)
def test_damaged_lzf(stream: bytes, num_bytes: int) -> None:
    with pytest.raises(UserError, match="does not decompress"):
        decompress_lzf(np.frombuffer(stream, np.uint8), num_bytes, "a")


def test_names_in_other_letters_and_missing_ones(tmp_path: Path) -> None:
    data: Any = make_ply("plain", "ascii").replace(b"float x", b"float X").replace(b"intensity", b"scalar_Intensity")
    (tmp_path / "a.ply").write_bytes(data)
    found = read_cloud(tmp_path / "a.ply").points
    np.testing.assert_array_equal(found[:, [0, 3]].T, [make_columns("plain")[name] for name in ("x", "intensity")])
    (tmp_path / "a.ply").write_bytes(data.replace(b"float z", b"float height"))
    with pytest.raises(UserError, match="no z in it, only x, y, height, scalar_intensity; x, y and z needed"):
        read_cloud(tmp_path / "a.ply")
    header, line, _ = data.replace(b"vertex 40", b"vertex 0").partition(b"\nend_header\n")
    (tmp_path / "a.ply").write_bytes(header + line)
    with pytest.raises(UserError, match="no points in it"):
        read_cloud(tmp_path / "a.ply")
