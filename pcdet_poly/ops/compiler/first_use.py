"""The first use of kernels on a machine, of which the user is told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pcdet_poly.ops.compiler.disk_cache import select_kernels_not_on_disk
from pcdet_poly.ops.compiler.progress import show_progress
from pcdet_poly.ops.compiler.registry import select_kernels


@contextmanager
def show_compilation(*packages: str) -> Iterator[None]:
    """Say on stderr how far compilation is while the block calls kernels for the first time.

    Nothing is said if all of them are on disk.

    Args:
        packages: whose kernels the block is going to call, such as "pcdet_poly.ops.cpu"; those of modules that are
            not imported yet are not counted ahead.
    """
    with show_progress(len(select_kernels_not_on_disk(select_kernels(*packages)))):
        yield
