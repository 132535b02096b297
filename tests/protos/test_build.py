"""Messages built at run time: their bytes, and their agreement with Waymo's own definitions."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool

from pcdet_poly.protos import dataset as proto
from pcdet_poly.protos.build import PACKAGE, build_messages

MESSAGES = [value.DESCRIPTOR for value in vars(proto).values() if hasattr(value, "DESCRIPTOR")]


def test_bytes_of_a_label() -> None:
    # By hand: field 1 (box, 9 bytes: field 1 double 1.0), field 3 varint 4, field 4 text, field 13 varint 300.
    label = proto.Label(box=proto.Label.Box(center_x=1.0), type=4, id="ab", num_top_lidar_points_in_box=300)
    assert label.SerializeToString() == bytes.fromhex("0a09 09000000000000f03f 1804 22026162 68ac02".replace(" ", ""))


def test_floats_are_packed_and_dimensions_are_not() -> None:
    matrix = proto.MatrixFloat(data=[1.0, 2.0], shape=proto.MatrixShape(dims=[1, 2]))
    assert matrix.SerializeToString() == bytes.fromhex("0a08 0000803f 00000040 1204 0801 0802".replace(" ", ""))


def test_fields_know_whether_they_were_set() -> None:
    assert not proto.Label().HasField("detection_difficulty_level")
    assert proto.Label(detection_difficulty_level=0).HasField("detection_difficulty_level")


def test_unknown_enum_values_survive() -> None:
    assert proto.Label.FromString(proto.Label(type=77).SerializeToString()).type == 77


def test_messages_of_another_table_can_be_used() -> None:
    made = build_messages(
        "test/other.proto", {"TestObject": {"object": "1 Label", "score": "2 float"}}, uses=[proto.FILE_NAME]
    )
    message = made["TestObject"](object=proto.Label(id="x"), score=0.5)
    assert made["TestObject"].FromString(message.SerializeToString()).object.id == "x"


def test_the_default_pool_is_left_alone() -> None:
    """Waymo's own package registers the same names there."""
    file = descriptor_pb2.FileDescriptorProto(
        name="test/frame.proto", package="test.waymo.open_dataset", syntax="proto2"
    )
    file.message_type.add(name="Frame")
    descriptor_pool.Default().Add(file)
    with pytest.raises(KeyError):
        descriptor_pool.Default().FindFileByName(proto.FILE_NAME)


def test_every_field_is_waymos_own() -> None:
    """Name, number, type and multiplicity, where Waymo's package is installed (`pip install --no-deps`)."""
    official = pytest.importorskip("waymo_open_dataset.dataset_pb2")
    pool = official.DESCRIPTOR.pool
    assert len(MESSAGES) >= 11
    for ours in MESSAGES:
        _same_fields(ours, pool.FindMessageTypeByName(ours.full_name))


def _same_fields(ours: Any, theirs: Any) -> None:
    for field in ours.fields:
        other = theirs.fields_by_name[field.name]
        assert (field.number, field.is_repeated) == (other.number, other.is_repeated), field.full_name
        assert field.GetOptions().packed == other.GetOptions().packed, field.full_name
        types = (field.TYPE_INT32, field.TYPE_ENUM)
        assert field.type == other.type or (field.type, other.type) == types, field.full_name
        assert field.full_name.startswith(PACKAGE)
    for nested in ours.nested_types:
        _same_fields(nested, theirs.nested_types_by_name[nested.name])
