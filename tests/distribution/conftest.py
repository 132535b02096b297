"""The project's sources copied, built without the network, and installed where no repository is in sight."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.distribution.run_python import ROOT, run_python

# Top folders of the working tree that are no sources.
_WORK = ("build", "dist", "site", "demo", "runs", "sweeps", "data", "simulated", "stores", "records")


@pytest.fixture(scope="session")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the sources, so that building leaves nothing in the working tree."""
    copy = tmp_path_factory.mktemp("sources") / "pcdet_poly"

    def skip(folder: str, names: list[str]) -> set[str]:
        top = Path(folder) == ROOT
        hidden = {name for name in names if name.startswith(".") and name not in (".ci", ".github", ".gitignore")}
        unwanted = {name for name in names if name == "__pycache__" or name.endswith(".egg-info")}
        return hidden - {".pre-commit-config.yaml"} | unwanted | (set(_WORK) & set(names) if top else set())

    shutil.copytree(ROOT, copy, ignore=skip)
    return copy


@pytest.fixture(scope="session")
def sdist(sources: Path) -> Path:
    """The source distribution, unpacked."""
    run_python("-m", "build", "--sdist", "--no-isolation", cwd=sources)
    (archive,) = (sources / "dist").glob("*.tar.gz")
    shutil.unpack_archive(archive, sources.parent / "sdist", filter="data")
    (folder,) = (sources.parent / "sdist").iterdir()
    return folder


@pytest.fixture(scope="session")
def installed(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds the wheel, built from the source distribution, and nothing else."""
    folder = tmp_path_factory.mktemp("installed")
    run_python("-m", "build", "--wheel", "--no-isolation", cwd=sdist)
    (wheel,) = (sdist / "dist").glob("*.whl")
    run_python("-m", "pip", "install", "-q", "--no-deps", "--no-index", "--target", folder, wheel, cwd=folder)
    copy_machine_code(ROOT / "pcdet_poly", folder / "pcdet_poly")
    return folder


def copy_machine_code(source: Path, target: Path) -> None:
    """Copy the kernels compiled already: a file's name says all that it depends on, and compiling takes a minute."""
    for path in source.rglob("__pycache__/*.nbc"):
        copy = target / path.relative_to(source)
        copy.parent.mkdir(exist_ok=True)
        shutil.copyfile(path, copy)
