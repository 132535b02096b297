"""Changes to readers, metrics, commands, sweeps and the simulator, made as CONTRIBUTING.md says."""

from __future__ import annotations

from tests.contributing.project_copy import ProjectCopy

READER = '''"""Text files of points, one frame each -> Frames."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pcdet_poly.data.convert.build_store import ReportError
from pcdet_poly.paths import AnyPath
from pcdet_poly.structures import Frame, GroundTruth
from pcdet_poly.workers import Advance


def read_xyz(path: AnyPath, advance: Advance, report_error: ReportError) -> Iterator[Frame]:
    """Yield a frame of every .xyz file of a folder."""
    for number, file in enumerate(sorted(Path(str(path)).glob("*.xyz"))):
        advance(file.stat().st_size)
        points = np.loadtxt(file, dtype=np.float32, ndmin=2)
        yield Frame(points, GroundTruth.empty(), np.eye(4), number, path.name, columns=("x", "y", "z"))
'''


def add_dataset(copy: ProjectCopy) -> None:
    copy.write("pcdet_poly/data/convert/from_xyz.py", READER)
    copy.insert(
        "pcdet_poly/config/kind_tables.py",
        '        "waymo": ReaderKind(',
        '        "xyz": ReaderKind("pcdet_poly.data.convert.from_xyz:read_xyz"),\n',
    )


PROVE_DATASET = """
from pathlib import Path
import numpy as np
from pcdet_poly.commands.main import main
from pcdet_poly.data.store.frame_store import Store
Path("seen").mkdir()
points = [np.random.default_rng(number).uniform(-9, 9, (20, 3)).astype(np.float32) for number in range(2)]
for number, rows in enumerate(points):
    np.savetxt(f"seen/{number}.xyz", rows, fmt="%.9g")
assert main(["import-frames", "seen", "--reader", "xyz", "--output", "store", "--precision", "exact"]) == 0
store = Store("store")
assert [frame.timestamp_us for frame in store] == [0, 1]
assert all((frame.points[:, :3] == rows).all() for frame, rows in zip(store, points))
"""


def add_metric(copy: ProjectCopy) -> None:
    copy.write(
        "pcdet_poly/evaluation/best_precision.py",
        '''"""Counts of matches -> the best precision of each shard, over the score cut-offs."""

from __future__ import annotations

from pcdet_poly.evaluation.evaluator import Evaluator
from pcdet_poly.evaluation.kernels.outcome_counts import FP, TP


def compute_best_precision(evaluator: Evaluator) -> dict[str, float]:
    """Return it by the shard's name, for the first way to compare boxes; 0 where nothing was detected."""
    counts = evaluator.sum_counts()[0]  # (shards, NUM_COUNTS, C)
    precision = counts[:, TP] / (counts[:, TP] + counts[:, FP]).clip(min=1)
    return dict(zip(evaluator.counter.layout.shards, precision.max(axis=1).tolist(), strict=True))
''',
    )
    evaluate = "pcdet_poly/engine/evaluate.py"
    copy.insert(
        evaluate,
        "from pcdet_poly.evaluation.evaluator import",
        "from pcdet_poly.evaluation.best_precision import compute_best_precision\n",
    )
    copy.insert(
        evaluate,
        '    return metrics | {"meta": {**meta,',
        '    meta = {**meta, "best_precision": compute_best_precision(evaluation.evaluator)}\n',
    )


PROVE_METRIC = """
import numpy as np
from pcdet_poly.config.schema import Config
from pcdet_poly.engine.evaluate import Evaluation, build_metrics
from pcdet_poly.evaluation import ApTable, Evaluator
from pcdet_poly.structures import Detections
from tests import tiny
labels = tiny.frame(0).ground_truth[:1]
box = np.concatenate([labels.box, labels.box + np.float32(50)])
found = Detections(box=box, label=np.zeros(2, np.int64), score=np.array([0.9, 0.3], np.float32))
evaluator = Evaluator(class_names=("VEHICLE", "PEDESTRIAN", "CYCLIST"))
evaluator.update([found], [labels])
metrics = build_metrics(Evaluation(evaluator, evaluator.compute(), ("a",), (found,)), {}, Config())
best = metrics["meta"]["best_precision"]
assert (best["OBJECT_TYPE_TYPE_VEHICLE"], best["OBJECT_TYPE_TYPE_CYCLIST"]) == (1.0, 0.0)
assert ApTable.from_json(metrics)["3D"]  # what reads metrics.json still does
"""


def add_breakdown(copy: ProjectCopy) -> None:
    shards = "pcdet_poly/evaluation/breakdowns.py"
    copy.insert(
        shards,
        '    "ALL_BUT_SIGN": Breakdown(',
        '    "SIDE": Breakdown(_name_shards("SIDE", ("right", "left")), _shard_by_side),\n',
    )
    copy.insert(
        shards,
        "def _shard_by_size(",
        "def _shard_by_side(rows: BoxTable) -> np.ndarray:\n"
        "    return shard_by_type(rows, 2, rows.box[:, 1] > 0)\n\n\n",
    )
    copy.replace(
        "pcdet_poly/config/sections/evaluation.py", '"ALL_BUT_SIGN", "CAMERA"]', '"ALL_BUT_SIGN", "CAMERA", "SIDE"]'
    )


PROVE_BREAKDOWN = """
from pcdet_poly.config.sections.evaluation import MetricsConfig
from pcdet_poly.evaluation import evaluate, to_markdown
from pcdet_poly.structures import Detections
from tests import tiny
import numpy as np
labels = tiny.frame(0).ground_truth[:3]
left = labels.box[:, 1] > 0
assert 0 < left.sum() < 3
found = Detections(box=labels.box[left], label=labels.label[left], score=np.ones(left.sum(), np.float32))
cfg = MetricsConfig(breakdowns=("SIDE",))
table = evaluate([found], [labels], cfg, class_names=("VEHICLE", "PEDESTRIAN", "CYCLIST"))
one, other = (table["3D"][f"SIDE_TYPE_VEHICLE_{side}_LEVEL_2"]["ap"] for side in ("left", "right"))
assert one > 0.99 and other == 0 and "SIDE_VEHICLE_left" in to_markdown(table)
"""


def add_command(copy: ProjectCopy) -> None:
    copy.write(
        "pcdet_poly/commands/data/count_points.py",
        '''"""Count the points of a store.

Example: pcdet-poly count-points stores/training
"""

from __future__ import annotations

import argparse

from pcdet_poly.commands.options import parse_path_or_url
from pcdet_poly.commands.parser import CommandParser


def add_arguments(parser: CommandParser) -> None:
    """Add the options of `pcdet-poly count-points`."""
    parser.add_argument("store", metavar="STORE", type=parse_path_or_url, help="folder of the store")


def run(options: argparse.Namespace) -> None:
    """Print the number of points of all frames."""
    from pcdet_poly.data.store.frame_store import Store

    print(sum(len(frame.points) for frame in Store(options.store)))
''',
    )
    copy.insert(
        "pcdet_poly/commands/table.py",
        '        Command("build-bank",',
        '        Command("count-points", "data.count_points", "count the points of a store"),\n',
    )
    copy.insert("docs/commands.md", "| `build-bank` |", "| `count-points` | count the points of a store | |\n")


PROVE_COMMAND = """
import contextlib, io, re
from pathlib import Path
from pcdet_poly.commands.main import main
from pcdet_poly.commands.table import GROUPS
from pcdet_poly.data.store.frame_store import write_store
from tests import tiny
write_store("store", [tiny.frame(0)])
def say(*words):
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.suppress(SystemExit):
        assert main(list(words)) == 0
    return out.getvalue()
assert say("count-points", "store") == "450\\\\n"
assert "pcdet-poly count-points stores/training" in say("count-points", "-h") and "count-points" in say("-h")
rows = re.findall(r"^\\\\| `([a-z-]+)` \\\\| (.*?) \\\\|", Path("docs/commands.md").read_text(), flags=re.MULTILINE)
assert rows == [(command.name, command.help) for group in GROUPS.values() for command in group]
""".replace("\\\\", "\\")


def add_sweep(copy: ProjectCopy) -> None:
    copy.write(
        "configs/sweeps/width.yaml",
        "# How wide a head must be.\n"
        "models: {quick: ../quick.yaml}\n"
        "grid: {model.head_width: [8, 16]}\n"
        "baseline: head-width8\n"
        "seeds: [0, 1, 2]\n",
    )


PROVE_SWEEP = """
from pathlib import Path
from pcdet_poly.config.find import find_config
from pcdet_poly.experiments.sweep.schema import list_trials, read_sweep
path = find_config("width", "sweeps")
trials = list_trials(read_sweep(path), Path(path).parent, ["train.epochs=2"])
settings = {(trial.config.model.head_width, trial.config.train.seed, trial.config.train.epochs) for trial in trials}
assert settings == {(width, seed, 2) for width in (8, 16) for seed in range(3)}
"""


def add_simulated_object(copy: ProjectCopy) -> None:
    copy.insert(
        "pcdet_poly/simulation/solids/furniture.py",
        "def build_bush(",
        '''def build_bench(rng: np.random.Generator) -> Shapes:
    """A bench along y."""
    return block((0, 0, 0.25), (0.5, float(rng.uniform(1.2, 2.0)), 0.5), Material.WOOD)


''',
    )
    copy.insert(
        "pcdet_poly/simulation/street/plots.py",
        "    for _ in range(int((end - start) * deep_m / 50)):\n",
        "    yield stand_upright(furniture.build_bench(rng), (start + end) / 2, side * (street.half_street_m + 1.0))\n",
    )


PROVE_SIMULATED_OBJECT = """
import itertools
import numpy as np
from pcdet_poly.simulation.solids import furniture
from pcdet_poly.simulation.street.scene import build_scene
built, build = [], furniture.build_bench
furniture.build_bench = lambda rng: built.append(build(rng)) or built[-1]
for seed in range(50):
    scene = build_scene(np.random.default_rng(seed), np.arange(3) / 10)
    if built:
        break
rows = scene.actors.shapes
assert built and len(rows) > len(built)
"""


def add_material(copy: ProjectCopy) -> None:
    materials = "pcdet_poly/simulation/solids/materials.py"
    copy.insert(materials, "\n\nclass Reflection(", "    SNOW = 17\n")
    copy.insert(
        materials,
        "    Material.WINDOW: Reflection(",
        "    Material.SNOW: Reflection(0.6, 0.3, False, 0.1, 0.0, 0.1),\n",
    )


PROVE_MATERIAL = """
from pcdet_poly.simulation.solids.materials import Material, tabulate_reflections
from pcdet_poly.simulation.solids.shapes import block
table = tabulate_reflections()
assert table.shape == (18, 6) and table[Material.SNOW, 0] == 0.6
assert block((0, 0, 0), (1, 1, 1), Material.SNOW).material.tolist() == [17]
"""
