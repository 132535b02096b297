"""The tiny detector's config and a store of its frames."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pcdet_poly.config.schema import Config
from pcdet_poly.data.store.frame_store import write_store
from tests.tiny import TINY, frame
from tests.warm_python import WarmPython


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five frames of one segment: three batches of two an epoch."""
    folder = tmp_path_factory.mktemp("engine") / "store"
    write_store(folder, [frame(number) for number in range(5)])
    return folder


@pytest.fixture(scope="session")
def tiny(store: Path):
    """Make a tiny config on the tiny store; keyword arguments go to its `train` section."""

    def config(**train: Any) -> Config:
        data = TINY["data"] | {"train": [str(store)], "val": [str(store)]}
        return Config.model_validate(TINY | {"data": data, "train": TINY["train"] | train})

    return config


@pytest.fixture(scope="session")
def warm_training() -> Iterator[WarmPython]:
    """Python that has imported what a training does."""
    root = Path(__file__).resolve().parents[2]
    path = f"import sys; sys.path.insert(0, {str(root)!r})\n"
    warm = WarmPython(path + "import torch._dynamo, pcdet_poly.commands.detectors.train, pcdet_poly.engine.train\n")
    yield warm
    warm.close()
