"""The archive that Waymo's server takes."""

from __future__ import annotations

import tarfile
from pathlib import Path

import numpy as np
import pytest

from pcdet_poly.commands.main import main
from pcdet_poly.config.sections.evaluation import SubmissionConfig
from pcdet_poly.errors import UserError
from pcdet_poly.evaluation import write_detections, write_submission
from pcdet_poly.evaluation.files import submission
from pcdet_poly.evaluation.files.provenance import Provenance
from pcdet_poly.evaluation.files.waymo_objects import read_prediction_file
from pcdet_poly.protos.metrics import Submission
from pcdet_poly.structures import Detections
from tests.tolerances import FLOAT32_VALUE

CLASSES = ("VEHICLE", "CYCLIST")
IDS = [f"segment/{k}" for k in range(5)]
WHO = SubmissionConfig(account_name="a@b.c", unique_method_name="m")


def build_detections() -> list[Detections]:
    rng = np.random.default_rng(0)
    return [
        Detections(
            rng.uniform(1, 4, (3, 7)).astype(np.float32), rng.integers(0, 2, 3), rng.random(3).astype(np.float32)
        )
        for _ in IDS
    ]


def read_parts(path: Path) -> dict[str, Submission]:
    with tarfile.open(path) as archive:
        return {name: Submission.FromString(archive.extractfile(name).read()) for name in archive.getnames()}


def test_the_archive_is_a_folder_of_submissions_and_its_bytes_follow_from_its_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(submission, "_FRAMES_OF_PART", 2)
    zones = [np.array([True, False, False])] * len(IDS)
    for name in ("mine.tar.gz", "again/mine.tar.gz"):
        assert write_submission(tmp_path / name, IDS, build_detections(), CLASSES, WHO, in_no_label_zone=zones) == 15
    assert (tmp_path / "mine.tar.gz").read_bytes() == (tmp_path / "again/mine.tar.gz").read_bytes()
    parts = read_parts(tmp_path / "mine.tar.gz")
    assert list(parts) == [f"mine/part_0000{k}_of_00003.bin" for k in range(3)]
    assert {part.account_name for part in parts.values()} == {"a@b.c"}
    objects = [one for part in parts.values() for one in part.inference_results.objects]
    assert [one.frame_timestamp_micros for one in objects] == [k for k in range(5) for _ in range(3)]
    scores = [rows.score[0] for rows in build_detections()]  # the first of each frame lies in a zone
    assert [one.score for one in objects if one.overlap_with_nlz] == pytest.approx(scores, rel=FLOAT32_VALUE)


def test_the_command_takes_past_frames_from_the_run_and_the_rest_from_options(tmp_path: Path) -> None:
    made = Provenance(run="r", sweeps=3)
    zones = [np.array([False, True, False])] * len(IDS)
    path = tmp_path / "detections.parquet"
    write_detections(path, IDS, build_detections(), CLASSES, provenance=made, in_no_label_zone=zones)
    words = ["--account", "a@b.c", "--method", "m", "--description", "what it does", "--link", "https://x.org"]
    assert main(["submit", str(tmp_path), "--output", str(tmp_path / "s.tar.gz"), *words]) == 0
    (part,) = read_parts(tmp_path / "s.tar.gz").values()
    assert (part.number_past_frames_exclude_current, part.number_future_frames_exclude_current) == (2, 0)
    assert (part.description, part.method_link) == ("what it does", "https://x.org")
    assert main(["submit", str(path), "--output", str(tmp_path / "s.bin"), *words, "--past-frames", "0"]) == 0
    assert Submission.FromString((tmp_path / "s.bin").read_bytes()).number_past_frames_exclude_current == 0
    assert main(["submit", str(path), "--output", str(tmp_path / "o.bin")]) == 0
    assert read_prediction_file(tmp_path / "o.bin").rows.in_no_label_zone.sum() == len(IDS)


def test_mistakes_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    long = WHO.model_copy(update={"unique_method_name": "m" * 26})
    with pytest.raises(UserError, match="has 26 characters; Waymo takes at most 25"):
        write_submission(tmp_path / "s.bin", IDS, build_detections(), CLASSES, long)
    path = tmp_path / "d.parquet"
    percent = [Detections(rows.box, rows.label, 100 * rows.score) for rows in build_detections()]
    write_detections(path, IDS, percent, CLASSES)
    assert main(["submit", str(path), "--output", str(tmp_path / "s.bin")]) == 2
    assert "per cent? divide by 100" in capsys.readouterr().err
    write_detections(path, IDS, build_detections(), CLASSES)
    assert main(["submit", str(path), "--output", str(tmp_path / "s.tar.gz")]) == 2  # a leaderboard needs a name
    assert "account_name and unique_method_name are needed" in capsys.readouterr().err
    assert not list(tmp_path.glob("s.*"))
