"""`pcdet-poly gpu-check` as a dry run: every part on the CPU, kernels in Triton's interpreter."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from pcdet_poly.commands.main import main
from pcdet_poly.experiments.gpu_check import checks
from pcdet_poly.experiments.gpu_check.checks import PARTS, Item, Part, run_part
from pcdet_poly.experiments.gpu_check.networks import DETECTORS, LONG, describe_fault
from pcdet_poly.experiments.gpu_check.operations import OPERATIONS, measure_difference
from pcdet_poly.experiments.gpu_check.place import Place
from pcdet_poly.experiments.gpu_check.report import format_section, list_faults, write_section

DRY = Place("cpu")


def test_a_dry_run_goes_through_every_part(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Compiled networks are traced for one detector alone, which takes most of the time."""
    pytest.importorskip("triton")
    list_variants = checks.list_variants
    monkeypatch.setattr(checks, "list_variants", lambda place: list_variants(place)[:1])
    output = tmp_path / "gpu.md"
    output.write_text("# Mine\n")
    words = ["gpu-check", "--dry-run", "--output", str(output)]
    assert main(words) == 0, capsys.readouterr().err
    found = json.loads((tmp_path / "gpu.json").read_text())["found"]
    assert set(found) == set(PARTS)
    assert len(found["equality"]) == len(found["operations"]) == len(OPERATIONS)
    assert len(found["training"]) == len(found["inference"]) == len(DETECTORS)
    assert found["processes"]["sum of gradients"]["is_right"] is True
    text = output.read_text()
    assert text.startswith("# Mine\n")
    assert all(part.title in text for part in PARTS.values())
    capsys.readouterr()
    assert main([*words, "--parts", "training,equality"]) == 0  # all of it is known already
    assert capsys.readouterr().err == ""
    assert output.read_text() == text


def test_a_compiled_network_is_trained_and_run() -> None:
    for check in (checks.train_detector, checks.run_detector):
        found = check("centerpoint_pillar", False, True, DRY)
        assert found["ms"] > 0


def test_without_a_gpu_it_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    output = tmp_path / "gpu.md"
    assert main(["gpu-check", "--output", str(output)]) == 2
    assert "torch sees no GPU here" in capsys.readouterr().err
    assert main(["gpu-check", "--dry-run", "--parts", "equalty", "--output", str(output)]) == 2
    assert "did you mean 'equality'?" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_what_fails_is_a_fault_and_the_rest_goes_on() -> None:
    def fail(place: Place) -> dict:
        raise RuntimeError("out of\nmemory")

    part = Part("Things", 100.0, ("verdict",), lambda place: iter([("a", fail), ("b", lambda place: {"verdict": "c"})]))
    lines: list[str] = []
    found = dict(run_part(part, DRY, {}, lines.append))
    assert found == {"a": {"fault": "RuntimeError: out of memory"}, "b": {"verdict": "c"}}
    assert len(lines) == 2
    assert dict(run_part(part, DRY, found, lines.append)) == {"a": found["a"]}  # what failed is tried again


def test_what_finds_no_memory_or_no_time_is_left_out_until_another_run() -> None:
    def ask_for_more(place: Place) -> dict:
        raise torch.OutOfMemoryError("too much")

    def list_items(place: Place) -> Iterator[Item]:
        return iter([("a", ask_for_more), ("b", lambda place: {"verdict": "c"})])

    lines: list[str] = []
    part, late = (Part("Things", budget_s, (), list_items) for budget_s in (100.0, -1.0))
    found = dict(run_part(part, DRY, {}, lines.append))
    assert found == {"a": {"left_out": "for want of memory"}, "b": {"verdict": "c"}}
    assert list_faults({"equality": found}) == []
    cut = dict(run_part(late, DRY, {}, lines.append))
    assert {key for item in cut.values() for key in item} == {"left_out"}
    assert dict(run_part(part, DRY, cut, lines.append)) == found


def test_faults_are_seen() -> None:
    assert describe_fault(LONG, 9.0, 1.0) is None
    assert describe_fault(LONG, 9.0, float("nan")) == "loss nan"
    assert describe_fault(LONG, 9.0, 10.0) == "loss 9.00 to 10.00 in 200 steps"
    ones = (torch.ones(3),)
    assert measure_difference(ones, ones) == 0
    assert measure_difference((torch.tensor([1.0, 1, 1.5]),), ones) == 0.5
    assert measure_difference((torch.ones(4),), ones) == float("inf")
    found = {"equality": {"NMS": {"verdict": "x", "fault": "differs | a lot"}, "IoU": {"left_out": "after 9 s"}}}
    assert list_faults(found) == ["Kernels: NMS: differs | a lot"]
    section = format_section({"device": "G", "torch": "2"}, found)
    assert "| NMS | x | differs / a lot |" in section
    assert "| IoU |  | left out after 9 s |" in section


def test_a_section_takes_the_place_of_the_earlier_one(tmp_path: Path) -> None:
    path = tmp_path / "a.md"
    path.write_text("before\n")
    write_section(path, {"device": "old"}, {})
    path.write_text(path.read_text() + "after\n")
    write_section(path, {"device": "new"}, {})
    text = path.read_text()
    assert "old" not in text
    assert text.index("before") < text.index("new") < text.index("after")
