"""The wheel is the product: without the repository, in an empty home, the whole journey works."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.distribution.run_python import ROOT, run_python
from tests.tiny import TINY

pytestmark = pytest.mark.slow
Call = Callable[..., str]


@pytest.fixture
def user(installed: Path, tmp_path: Path) -> tuple[Path, Call]:
    """An empty folder, and what runs Python there with the wheel on its path but not the repository."""
    home, work = tmp_path / "home", tmp_path / "work"
    home.mkdir()
    work.mkdir()
    variables = {"HOME": str(home), "PYTHONPATH": str(installed), "PYTHONSAFEPATH": "1", "OMP_NUM_THREADS": "1"}

    def call(*words: str | Path) -> str:
        return run_python(*words, cwd=work, **variables)

    return work, call


def test_the_journey_works_without_the_repository(user: tuple[Path, Call], installed: Path) -> None:
    work, call = user
    _write_configs(work)
    # One process for all, but for what `sweep` starts: their imports would take most of the time.
    *_, place = call("-c", JOURNEY).splitlines()
    assert Path(place).is_relative_to(installed)
    assert (work / "runs/own/metrics.json").is_file()
    assert list((work / "found").glob("*.json"))
    assert (work / "sweeps/study/report/report.html").stat().st_size > 10_000
    assert call("-m", "pcdet_poly", "config", "list").split() == sorted(
        path.relative_to(ROOT / "configs").with_suffix("").as_posix() for path in (ROOT / "configs").rglob("*.yaml")
    )
    for page in ("experiments/report/page", "visualization/page", "visualization/viewer/page"):
        packed = {path.name for path in (installed / "pcdet_poly" / page).iterdir()}
        assert packed == {path.name for path in (ROOT / "pcdet_poly" / page).iterdir()}


def _write_configs(work: Path) -> None:
    data = {"data": TINY["data"] | {"train": ["store"], "val": ["store"]}}
    few = {"train": TINY["train"] | {"epochs": 1}}
    (work / "own.yaml").write_text(yaml.safe_dump({"base": "quick"} | TINY | data | few))
    arms = [{"name": "focal"}, {"name": "eps1", "overrides": {"classification.epsilon": 1}}]
    sweep = {"models": {"own": "own.yaml"}, "arms": arms, "seeds": [0], "baseline": "focal"}
    (work / "study.yaml").write_text(yaml.safe_dump(sweep))


JOURNEY = """
import numpy as np
import pcdet_poly
from pcdet_poly.commands.main import main
from pcdet_poly.data.store.frame_store import Store

def poly(words):
    assert main(words.split()) == 0, words

poly("simulate records --segments 1 --frames 4 --interval-s 1")
poly("preprocess records --output store")
poly("train own.yaml --device cpu")
poly("test runs/own --device cpu")
np.save("cloud.npy", Store("store")[0].points[:, :4])
poly("detect runs/own cloud.npy --output found --device cpu")
poly("sweep study.yaml --workers 1")
poly("report sweeps/study")
print(pcdet_poly.__file__)
"""


def test_a_users_file_sees_types(user: tuple[Path, Call], installed: Path) -> None:
    work, call = user
    (work / "own.py").write_text(
        "from pcdet_poly.config.load import load_config\n"
        "config = load_config('quick')\nreveal_type(config.train.epochs)\n"
        "wrong: str = config.train.epochs\n"
    )
    # Reading torch's own types takes half a minute and is not what is asked here.
    (work / "mypy.ini").write_text("[mypy]\n[mypy-torch.*,numba.*,scipy.*]\nfollow_imports = skip\n")
    checked = call("-c", f"import runpy, sys; sys.argv = ['mypy', 'own.py']; {RUN_MYPY}")
    assert 'Revealed type is "int"' in checked.replace("builtins.", "")
    assert checked.count("error:") == 1
    assert "own.py:4" in checked


RUN_MYPY = "import mypy.api; print(mypy.api.run(['own.py', '--no-incremental'])[0])"
