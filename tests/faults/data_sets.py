"""Known data sets as formats to damage: KITTI, nuScenes, Argoverse 2, OpenPCDet, each kind of file by itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from pcdet_poly.checks.findings import Tally
from pcdet_poly.data.convert.formats.import_format import IMPORT_FORMATS
from pcdet_poly.data.convert.formats.import_options import ImportOptions
from pcdet_poly.data.convert.formats.nuscenes import load_tables
from pcdet_poly.data.store.checked_frames import check_frames
from pcdet_poly.errors import UserError
from tests.data.convert.known_formats import (
    Scene,
    make_scene,
    write_argoverse2,
    write_kitti,
    write_nuscenes,
    write_openpcdet,
)
from tests.faults.damage import Format

_SCENE = make_scene()


def raise_error(error: UserError) -> None:
    """Stop at the first frame that cannot be read, as an import does by itself."""
    raise error


def _read(name: str, folder: Path) -> Any:
    """Read all frames of a data set, and check them as an import does."""
    load_tables.cache_clear()
    known = IMPORT_FORMATS[name]
    options = ImportOptions(ImportOptions().names.with_defaults(known.renamed, known.dropped))
    frames = []
    for source in known.list_sources([str(folder / "data")]):
        read = known.read(source.path, lambda num_bytes: None, raise_error, options=options)
        frames += list(check_frames(read, raise_error, Tally(), where=f"{source.path}: "))
    return [replace(frame, segment="") for frame in frames]


def _build(name: str, what: str, pattern: str, write: Callable[[Path, Scene], None]) -> Format:
    def make(folder: Path) -> list[Path]:
        write(folder / "data", _SCENE)
        return sorted((folder / "data").rglob(pattern))

    return Format(f"{what}", "", make, lambda folder: _read(name, folder))


DATA_SETS = (
    _build("kitti", "KITTI: labels, calibration (.txt)", "*.txt", write_kitti),
    _build("kitti", "KITTI: clouds (.bin)", "*.bin", write_kitti),
    _build("nuscenes", "nuScenes: tables (.json)", "*.json", write_nuscenes),
    _build("nuscenes", "nuScenes: clouds (.pcd.bin)", "*.pcd.bin", write_nuscenes),
    _build("argoverse2", "Argoverse 2 (.feather)", "*.feather", write_argoverse2),
    _build("openpcdet", "OpenPCDet: labels (.txt)", "*.txt", write_openpcdet),
    _build("openpcdet", "OpenPCDet: clouds (.npy)", "*.npy", write_openpcdet),
)
