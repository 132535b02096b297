"""The check of a store finds damage and nonsense, and names file and frame."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pcdet_poly.checks.frame import find_frame_faults
from pcdet_poly.data.check.check_store import check_store
from pcdet_poly.data.store.frame_store import write_store
from pcdet_poly.data.store.manifest import MANIFEST, read_manifest, write_manifest
from pcdet_poly.data.store.segment_file import read_archive_directory
from pcdet_poly.structures import Frame
from tests.data.frames import make_frame, write_unchecked_store
from tests.data.records import run, tool


def good_frame(seed: int, segment: str = "s") -> Frame:
    return make_frame(seed, segment=segment)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_store(tmp_path, [good_frame(i, f"s{i // 3}") for i in range(6)], precision="exact")
    return tmp_path


@pytest.mark.parametrize("workers", [1, 2])
def test_a_sound_store(folder: Path, workers: int) -> None:
    checks = check_store(folder, workers=workers)
    assert [check.entry.segment for check in checks] == ["s0", "s1"]
    assert not any(check.faults for check in checks)
    assert run(tool("check_frames", folder)).stdout.count("sound") == 2


def test_damage_is_found_and_named(folder: Path) -> None:
    path = folder / "s1.zip"
    directory = read_archive_directory(path)
    for frame in (0, 2):
        with open(path, "r+b") as file:
            file.seek(int(directory.start[2 * frame + 1]) + 100)
            file.write(b"\x00\x01\x02\x03")
    done = run(tool("check_frames", folder), exit_code=2)
    assert "s1.zip: frame 0: wrong checksum" in done.stdout
    assert "s1.zip: frame 2: wrong checksum" in done.stdout
    assert "s1.zip: frame 0" in done.stderr
    assert "s0.zip: frame" not in done.stdout


def test_cut_and_missing_files_are_found(folder: Path) -> None:
    (folder / "s0.zip").unlink()
    (folder / "s1.zip").write_bytes((folder / "s1.zip").read_bytes()[:-1])
    missing, cut = (check.faults for check in check_store(folder))
    assert "s0.zip: listed in the manifest, but missing" in missing[0]
    assert "s1.zip: " in cut[0]


def test_counts_that_are_not_the_manifests(folder: Path) -> None:
    from dataclasses import replace

    manifest = read_manifest(folder)
    first, second = manifest.segments
    stamps = (*first.timestamps_us[:2], 5)
    wrong = replace(first, num_points=first.num_points + 1, timestamps_us=stamps)
    (folder / MANIFEST).unlink()
    write_manifest(folder, replace(manifest, segments=(wrong, second)))
    problems = check_store(folder)[0].faults
    assert "the manifest says 5" in problems[0]
    assert f"{first.num_points} points" in problems[1]


@pytest.mark.parametrize(
    ("place", "value", "says"),
    [
        (("points", (3, 0)), np.nan, "1 points are not finite"),
        (("box", (0, 0)), np.nan, "1 boxes are not finite"),
        (("box", (1, 3)), 0.0, "a size that is not in"),
        (("box", (1, 4)), 200.0, "a size that is not in"),
        (("label", 2), 4, "a label outside its 4 classes"),
        (("label", 2), -1, "a label outside its 4 classes"),
        (("level", 0), 3, "level"),
        (("num_points", 0), -1, "negative number of points"),
        (("world_from_vehicle", (3, 0)), 1.0, "no rigid motion"),
        (("world_from_vehicle", (0, 0)), np.nan, "no rigid motion"),
    ],
)
def test_nonsense_in_a_frame(place: tuple[str, Any], value: float, says: str) -> None:
    frame = good_frame(0)
    assert list(find_frame_faults(frame)) == []
    name, index = place
    holder = frame if hasattr(frame, name) else frame.ground_truth
    getattr(holder, name)[index] = value
    (problem,) = [finding.text for finding in find_frame_faults(frame) if finding.is_error]
    assert says in problem


def test_nonsense_in_a_store_names_the_frame(tmp_path: Path) -> None:
    frames = [good_frame(i) for i in range(3)]
    frames[1].points[5, 2] = np.inf
    write_unchecked_store(tmp_path, frames)
    (check,) = check_store(tmp_path)
    assert check.faults == (
        f"{tmp_path}/s.zip: frame 1 ({frames[1].frame_id}): 1 points are not finite, the first is point 5: z = inf; "
        "leave such points out",
    )


def test_a_folder_that_is_no_store(tmp_path: Path) -> None:
    assert "not a frame store" in run(tool("check_frames", tmp_path), exit_code=2).stderr
