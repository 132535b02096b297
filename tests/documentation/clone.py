"""A clone of the project with its environment, in which the documentation's commands are small enough to be run.

What is pasted stays as it stands on the page, but for the numbers in `REWRITES`.
What is small is what the commands name:

- configs that are trained have the tiny network and grid of tests/tiny.py laid over them;
- the study of two arms has one seed in place of three, and one epoch;
- the demo's frames, and files that a reader brings (clouds, frames of one's own, files of boxes), are a handful.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import venv
from pathlib import Path

import numpy as np
import yaml

from pcdet_poly.data.store.frame_store import write_store
from pcdet_poly.evaluation import write_labels
from pcdet_poly.evaluation.files.submission import write_predictions
from pcdet_poly.structures import WAYMO_CLASSES, Detections
from tests.documentation.pages import ROOT
from tests.tiny import TINY, frame

# `make demo` is only planned: its steps are commands that run elsewhere here, and it takes ten minutes.
REWRITES = (
    (r"^make ", "make --dry-run "),
    (r"--segments \d+", "--segments 1"),
    (r"--frames \d+", "--frames 2"),
    (r"--workers \d+", "--workers 1"),
)
_TRAINED = ("centerpoint_pillar", "real_overfit", "slim")
_FOLDERS = ("pcdet_poly", "configs", "data_tools")
_FILES = ("Makefile", "README.md", "pyproject.toml", "requirements.txt", "setup.py", "train.py", "test.py")
_PLY = "ply\nformat ascii 1.0\nelement vertex {}\nproperty float x\nproperty float y\nproperty float z\nend_header"
_LICENCES = ("LICENSE", "NOTICE")


class Clone:
    """The folder, and a shell in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "pcdet_poly"
        self.home = folder / "home"
        self.home.mkdir()
        _copy_project(self.folder)
        _make_small(self.folder / "configs")
        _add_readers_files(self.folder)
        _make_environment(self.folder / ".venv")
        self.run("make environment")

    def run(self, lines: str) -> str:
        """Run `lines` in a new bash that nobody has set up, and return what they printed; the first failure ends it."""
        say = "trap 'echo \"failed: $BASH_COMMAND\" >&2' ERR\n"
        command = ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", say + lines]
        done = subprocess.run(
            command, cwd=self.folder, env=self._list_variables(), capture_output=True, text=True, timeout=3600
        )
        assert done.returncode == 0, f"{lines}\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}"
        return done.stdout

    def _list_variables(self) -> dict[str, str]:
        """Return the variables of a new shell: no environment is active, pip cannot reach the network."""
        keep = ("LANG", "LC_ALL", "TMPDIR", "NUMBA_CACHE_DIR", "LD_LIBRARY_PATH", "SYSTEMROOT")
        shell = {name: os.environ[name] for name in keep if name in os.environ}
        path = os.pathsep.join(part for part in os.environ["PATH"].split(os.pathsep) if not _is_environment(Path(part)))
        quick = {"PIP_NO_INDEX": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1", "OMP_NUM_THREADS": "1"}
        return shell | {"PATH": path, "HOME": str(self.home)} | quick


def rewrite(lines: str) -> str:
    """Return `lines` with the numbers of `REWRITES`."""
    for pattern, text in REWRITES:
        lines = re.sub(pattern, text, lines, flags=re.MULTILINE)
    return lines


def _is_environment(folder: Path) -> bool:
    return (folder.parent / "pyvenv.cfg").is_file()


def _copy_project(folder: Path) -> None:
    """Copy what commands need. Compiled kernels come along: compiling them again takes a minute."""
    skip = shutil.ignore_patterns("*.tmp*", "*.pyc*", "*.egg-info")
    for name in _FOLDERS:
        shutil.copytree(ROOT / name, folder / name, ignore=skip, copy_function=_copy_file)
    for name in (*_FILES, *_LICENCES):
        shutil.copy(ROOT / name, folder / name)


def _copy_file(source: str, target: str) -> None:
    """Copy a file. Other processes may replace those of caches meanwhile, which then are not needed."""
    try:
        shutil.copy(source, target)
    except FileNotFoundError:
        if "__pycache__" not in source:
            raise


def _make_small(configs: Path) -> None:
    """Lay the tiny network over the configs that are trained, and take one seed for the study."""
    small = TINY | {"evaluation": {"pictures": 1}, "train": TINY["train"] | {"epochs": 1, "log_every": 1}}
    for name in _TRAINED:
        path = configs / f"{name}.yaml"
        path.rename(configs / f"{name}_full.yaml")
        path.write_text(yaml.safe_dump({"base": f"{name}_full.yaml"} | small))
    study = configs / "sweeps/mini.yaml"
    short = {"seeds": [0], "overrides": {"train.epochs": 1}}
    study.write_text(yaml.safe_dump(yaml.safe_load(study.read_text()) | short))


def _add_readers_files(folder: Path) -> None:
    """Write what a reader brings under the names on the pages, and the frames that `make demo` leaves."""
    frames = [frame(number) for number in range(2)]
    for part in ("training", "validation"):
        write_store(folder / "demo/stores" / part, frames)
    ids, labels = [one.frame_id for one in frames], [one.ground_truth for one in frames]
    score = np.full(len(labels[0].box), 0.5, np.float32)
    found = [Detections(box=each.box, label=each.label, score=score) for each in labels]
    write_labels(folder / "ground_truth.bin", ids, labels, WAYMO_CLASSES)
    write_predictions(folder / "predictions.bin", ids, found, WAYMO_CLASSES)
    for name in ("scans", "my_frames"):
        (folder / name).mkdir()
    points = frames[0].points[:, :5]
    np.save(folder / "scans/1.npy", points)
    names = np.array(WAYMO_CLASSES)[labels[0].label]
    np.savez(folder / "my_frames/0.npz", points=points, boxes=labels[0].box, names=names)
    header = (
        "ply\nformat ascii 1.0\nelement vertex {}\nproperty float x\nproperty float y\nproperty float z\nend_header"
    )
    np.savetxt(folder / "cloud.ply", points[:, :3], header=header.format(len(points)), comments="")


def _make_environment(folder: Path) -> None:
    """Make an environment that sees the libraries of the one that runs the tests, so that nothing is fetched."""
    venv.create(folder, symlinks=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / "libraries.pth").write_text(str(Path(np.__file__).parent.parent) + "\n")
