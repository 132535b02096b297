"""A program of its own: warm up, make a training step with every detector, and see whether a kernel was compiled.

One argument: a folder to write to.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from pcdet_poly.config.schema import Config
from pcdet_poly.data.bank.build_bank import build_object_bank
from pcdet_poly.data.load.dataset import FrameDataset
from pcdet_poly.data.load.loader import load_training_batches
from pcdet_poly.data.store.frame_store import write_store
from pcdet_poly.models import build_recipe
from pcdet_poly.ops.compiler.registry import select_kernels
from pcdet_poly.ops.warm_up import warm_up
from tests.data.load.test_loader import street

BACKBONE = {"layers": [1, 1], "strides": [1, 2], "channels": [8, 8], "up_strides": [1, 2], "up_channels": [8, 8]}
DETECTORS: list[tuple[str, dict[str, Any], list[str], float]] = [
    ("centerpoint_pillar", {"encoder_channels": [8, 8], "backbone": BACKBONE}, ["VEHICLE", "CYCLIST"], 6),
    ("pointpillars", {"encoder_channels": [8], "backbone": BACKBONE}, ["VEHICLE", "PEDESTRIAN", "CYCLIST"], 6),
    ("centerpoint_voxel", {}, ["VEHICLE"], 0.25),
    ("rsn", {"image": {"rows": 16, "columns": 256}}, ["VEHICLE"], 0.5),  # at full size torch alone takes 7 s
]


def main(folder: Path) -> None:
    warm_up()
    before = compiled()
    write_store(folder / "store", [street(i, "s") for i in range(2)])
    bank = build_object_bank([folder / "store"], folder / "objects.arrow").path
    for kind, model, classes, height in DETECTORS:
        pasted = {"bank": str(bank), "min_points": 1, "objects": [9] * len(classes)}
        cfg = Config.model_validate(
            {
                "model": {"kind": kind, **model},
                "data": {"workers": 0, "min_points": 0, "classes": classes, "sweeps": 2},
                "grid": {"lower": [-64, -64, -2], "upper": [64, 64, 4], "cell": [2, 2, height]},
                "paste": {} if kind == "rsn" else pasted,
                "train": {"batch_size": 2},
            }
        )
        recipe = build_recipe(cfg)
        for batch in load_training_batches(cfg, FrameDataset([folder / "store"]), epoch=0):
            maps = recipe.model(batch)
            recipe.criterion(maps, recipe.assign(batch)).total.backward()
            recipe.decode(maps)
        assert compiled() == before, (kind, compiled() - before)
    print("nothing compiled")


def compiled() -> set[tuple[str, Any]]:
    """Every kernel with every kind of arguments that it is compiled for."""
    return {(kernel.__name__, types) for kernel in select_kernels("pcdet_poly") for types in kernel.signatures}


if __name__ == "__main__":
    main(Path(sys.argv[1]))
