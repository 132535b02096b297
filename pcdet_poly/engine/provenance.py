"""A run and the data that it is evaluated on -> what its detections are of."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

from pcdet_poly.config.schema import Config
from pcdet_poly.data.store.manifest import read_manifest
from pcdet_poly.engine.checkpoint import config_hash, config_values
from pcdet_poly.engine.environment import read_git_commit
from pcdet_poly.engine.run import Run
from pcdet_poly.evaluation.files.provenance import DataRecord, Provenance
from pcdet_poly.paths import AnyPath
from pcdet_poly.version import __version__


def describe_provenance(run: Run, step: int) -> Provenance:
    """Describe detections in the frames of `data.val` by the run's detector as it was after `step` steps."""
    config = run.config
    known = describe_detector(run.folder.name, config)
    stores = tuple(DataRecord(folder, fingerprint_store(folder)) for folder in config.data.val)
    return replace(
        known,
        step=step,
        metrics=config.evaluation.metrics.model_dump(mode="json"),
        within=config.evaluation.within,
        stores=stores,
        data_hash=_hash_text([[store.fingerprint for store in stores], config.data.val_every]),
    )


def describe_detector(run: str, config: Config) -> Provenance:
    """Describe detections in frames of no store by the detector of the run called `run`."""
    return Provenance(
        run=run,
        config_hash=config_hash(config_values(config)),
        grid=config.grid.model_dump(mode="json"),
        sweeps=config.data.sweeps,
        version=__version__,
        commit=read_git_commit(),
    )


def fingerprint_store(folder: str | AnyPath) -> str:
    """Return twelve hex digits that differ where any frame of a store does, from its manifest alone."""
    segments = read_manifest(folder).segments
    return _hash_text([[e.segment, e.file_bytes, e.directory_crc32, list(e.timestamps_us)] for e in segments])


def _hash_text(value: object) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:12]
