"""The import rule holds in the package, and its checker sees every way around it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.floors import FLOORS, SLOW_TO_IMPORT, find_violations

LOADED_BY_TORCH = {"scipy", "triton"}  # or by numba, whatever we do
ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "pcdet_poly"


@pytest.fixture(scope="module")
def sources() -> dict[str, str]:
    """Every Python file of the package, by its path below the package."""
    return {str(file.relative_to(PACKAGE)): file.read_text() for file in sorted(PACKAGE.rglob("*.py"))}


@pytest.fixture(scope="module")
def violations(sources: dict[str, str]) -> set[str]:
    """What is wrong before anything is planted."""
    return set(find_violations(sources))


def test_every_package_stands_on_a_floor(sources: dict[str, str]) -> None:
    packages = {file.split("/")[0].removesuffix(".py") for file in sources} - {"__init__", "__main__"}
    assert packages == set(FLOORS)


def test_imports_go_down_only(violations: set[str]) -> None:
    assert violations == set()


@pytest.mark.parametrize(
    ("file", "planted", "words"),
    [
        ("ops/iou.py", "from pcdet_poly.waymo import tfrecord", "floor"),
        ("losses/sigmoid_focal.py", "def f():\n    import pcdet_poly.targets.center_assigner", "floor"),
        ("models/recipe.py", "from pcdet_poly.data.store.frame_store import FrameStore", "floor"),
        ("config/load.py", "from pcdet_poly import structures", "floor"),
        ("waymo/decode.py", "import tensorflow as tf", "whose home"),
        ("models/layers/center_head.py", "import spconv.pytorch", "whose home"),
        ("data/load/collate.py", "from . import augment", "relative"),
        (
            "losses/sigmoid_focal.py",
            "from importlib import import_module\nimport_module('pcdet_poly.engine.train')",
            "floor",
        ),
        ("losses/sigmoid_focal.py", "import importlib\nNAME = 'x'\nimportlib.import_module(NAME)", "only running it"),
        ("losses/sigmoid_focal.py", "__import__('pcdet_poly.engine.train')", "floor"),
        ("losses/sigmoid_focal.py", "import pcdet_poly as p\np.Detector", "itself"),
        ("losses/sigmoid_focal.py", "from pcdet_poly import Detector", "itself"),
        ("losses/sigmoid_focal.py", "import matplotlib.pyplot as plt", "training loads it"),
        ("structures/frame.py", "class A:\n    import pyarrow", "training loads it"),
        ("models/recipe.py", "def f():\n    import ray", "whose home"),
        ("errors.py", "def f():\n    from pcdet_poly.workers import run_jobs", "circle of modules"),
        ("waymo/scan.py", "def f():\n    from pcdet_poly.waymo.decode import decode_frame", "circle of modules"),
        ("data/store/manifest.py", "from pcdet_poly.data.convert.build_store import build_store", "circle of rooms"),
        ("simulation/lidar/noise.py", "from pcdet_poly.simulation.street.course import Street", "circle of rooms"),
        ("ops/arrays/iou.py", "from pcdet_poly.ops.voxelize import voxelize", "back end"),
        ("ops/arrays/iou.py", "from pcdet_poly.ops import voxelize", "back end"),
        ("ops/arrays/iou.py", "from pcdet_poly.ops.gpu.iou import pairwise_iou", "back end"),
        ("data/load/collate.py", "from pcdet_poly.ops.cpu import columns", "only ops/"),
        ("config/__main__.py", "from pcdet_poly.experiments.statistics import holm", "only calls a command"),
        ("config/__main__.py", "def helper():\n    pass", "defines something"),
        ("engine/run.py", "from pcdet_poly.commands.parser import build_parser", "floor"),
        ("experiments/figures.py", "from pcdet_poly.config import __main__", "__main__"),
        (
            "losses/sigmoid_focal.py",
            "from importlib import import_module as load\nload('pcdet_poly.engine.train')",
            "floor",
        ),
        ("losses/sigmoid_focal.py", "import importlib as il\nil.import_module('pcdet_poly.engine.train')", "floor"),
        ("losses/sigmoid_focal.py", "import importlib\nload = importlib.import_module", "only running it"),
        ("losses/sigmoid_focal.py", "exec('import pcdet_poly.engine.train')", "only running it"),
        ("losses/sigmoid_focal.py", "from pkgutil import resolve_name\nresolve_name(NAME)", "only running it"),
        (
            "losses/sigmoid_focal.py",
            "from pcdet_poly.config.plugins import import_module as f\nf('ray')",
            "home",
        ),
        ("losses/sigmoid_focal.py", "if not TYPE_CHECKING:\n    import pyarrow", "training loads it"),
        ("losses/sigmoid_focal.py", "if TYPE_CHECKING:\n    pass\nelse:\n    import pyarrow", "training loads it"),
        ("losses/sigmoid_focal.py", "def f(x=__import__('pyarrow')):\n    pass", "training loads it"),
        ("losses/sigmoid_focal.py", "import pandas", "no library"),
        ("losses/sigmoid_focal.py", "from tests.tiny import TINY", "no library"),
        (
            "experiments/report/formats/csv_files.py",
            "from pcdet_poly.experiments.report.write import write_report",
            "circle of rooms",
        ),
        ("attic/old.py", "from pcdet_poly.engine import train", "floor"),
    ],
)
def test_the_checker_sees(sources: dict[str, str], violations: set[str], file: str, planted: str, words: str) -> None:
    found = set(find_violations(sources | {file: f"{sources.get(file, '')}\n{planted}\n"}))
    assert any(words in line for line in found - violations), found - violations


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = (
        "import sys; import pcdet_poly, pcdet_poly.structures; "
        "heavy = {'torch', 'numba', 'open3d', 'pyarrow', 'matplotlib', 'scipy'} & set(sys.modules); "
        "assert not heavy, heavy; print(len(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    # The aim is half a second. A clock would measure the machine; a file costs about a millisecond on a slow one.
    assert int(done.stdout) < 400


def test_training_loads_no_slow_library() -> None:
    code = (
        "import sys; import pcdet_poly.engine.start, pcdet_poly.engine.train, pcdet_poly.engine.evaluate; "
        "import pcdet_poly.models.center_recipe, pcdet_poly.models.anchor_recipe, pcdet_poly.models.rsn_recipe; "
        f"print(*set({sorted((SLOW_TO_IMPORT | {'torch._dynamo'}) - LOADED_BY_TORCH)}) & sys.modules.keys())"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout == "\n"
