"""Pins lie in the ranges that a user's installation may choose from; every Python that we name reads the sources."""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = [line for lines in PROJECT["optional-dependencies"].values() for line in lines]
PLACES = [
    {"sys_platform": system, "platform_machine": machine, "python_version": python, "extra": ""}
    for system, machine in (("linux", "x86_64"), ("linux", "aarch64"), ("darwin", "arm64"), ("win32", "AMD64"))
    for python in ("3.11", "3.12", "3.13")
]


def read_pins(name: str) -> list[Requirement]:
    lines = (line.split(" #")[0].strip() for line in (ROOT / name).read_text().splitlines())
    return [Requirement(line) for line in lines if line and not line.startswith(("#", "-"))]


def holds(requirement: Requirement, place: dict[str, str]) -> bool:
    return requirement.marker is None or requirement.marker.evaluate({**place})


RANGES = [Requirement(line) for line in [*PROJECT["dependencies"], *EXTRAS]]
PINS = [*read_pins("requirements.txt"), *read_pins("requirements-dev.txt")]


@pytest.mark.parametrize("pin", PINS, ids=lambda pin: pin.name)
def test_a_pin_is_one_version_inside_its_range(pin: Requirement) -> None:
    (specifier,) = pin.specifier
    assert specifier.operator == "=="
    ranges = [one for one in RANGES if canonicalize_name(one.name) == canonicalize_name(pin.name)]
    assert ranges
    for one in ranges:
        assert one.specifier.contains(specifier.version)
        assert [holds(one, place) for place in PLACES] == [holds(pin, place) for place in PLACES]


@pytest.mark.parametrize("line", PROJECT["dependencies"])
def test_every_dependency_is_pinned_and_ends_before_the_next_major(line: str) -> None:
    wanted = Requirement(line)
    assert any(specifier.operator == "<" for specifier in wanted.specifier)
    pins = {canonicalize_name(pin.name) for pin in read_pins("requirements.txt")}
    assert canonicalize_name(wanted.name) in pins


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
def test_the_sources_are_of_every_python_that_is_named(python: str) -> None:
    assert f"Programming Language :: Python :: {python}" in PROJECT["classifiers"]
    assert SpecifierSet(PROJECT["requires-python"]).contains(python)
    minor = int(python.partition(".")[2])
    for path in (ROOT / "pcdet_poly").rglob("*.py"):
        ast.parse(path.read_text(encoding="utf-8"), path.name, feature_version=(3, minor))
