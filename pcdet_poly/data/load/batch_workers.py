"""Makes batches ahead of time in other processes, by torch's DataLoader."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from pcdet_poly.errors import UserError
from pcdet_poly.malloc import keep_freed_memory
from pcdet_poly.ops.warm_up import warm_up
from pcdet_poly.signals import hold_stop_signals, ignore_stop_signals
from pcdet_poly.signals.child_processes import block_signals_in_children, unblock_signals
from pcdet_poly.structures import Batch


@dataclass(frozen=True)
class BatchOrError:
    """A batch, or the error why there is none; an exception from a worker would reach us as torch's traceback."""

    result: Batch | UserError

    def pin_memory(self) -> BatchOrError:
        """Move the batch into page-locked memory; DataLoader calls this in a thread."""
        batch = self.result
        if isinstance(batch, UserError):
            return self
        pinned = replace(batch, points=batch.points.pin_memory(), frame_of_point=batch.frame_of_point.pin_memory())
        return BatchOrError(replace(pinned, range_images=batch.range_images and batch.range_images.pin_memory()))


class BatchDataset(Dataset[BatchOrError]):
    """Maps numbers of batches to batches, as DataLoader asks for."""

    def __init__(self, make: Callable[[int], Batch]) -> None:
        self._make = make

    def __getitem__(self, number: int) -> BatchOrError:
        try:
            return BatchOrError(self._make(number))
        except UserError as error:
            return BatchOrError(UserError(str(error)))


def load_batches(make: Callable[[int], Batch], numbers: Sequence[int], workers: int) -> Iterator[Batch]:
    """Yield `make(number)` for each number, in order.

    Args:
        make: makes a batch; can be pickled.
        numbers: of the batches.
        workers: processes that make batches ahead; 0 makes each batch here when it is asked for.

    Raises:
        UserError: if `make` raises it, or a worker is killed.
    """
    if workers:
        warm_up()
    loader: DataLoader[BatchOrError] = DataLoader(
        BatchDataset(make),
        batch_size=None,
        sampler=numbers,
        num_workers=min(workers, len(numbers)),
        collate_fn=_return_unchanged,
        worker_init_fn=_start_worker,
        pin_memory=torch.cuda.is_available(),
        generator=torch.Generator(),  # without one, DataLoader draws from the generator that dropout uses
    )
    # Workers that start here ignore signals, which the training loop handles, from their first moment on.
    with hold_stop_signals(), block_signals_in_children(torch.multiprocessing.get_start_method()):
        ready = iter(loader)
    try:
        for made in ready:
            if isinstance(made.result, UserError):
                raise made.result
            yield made.result
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        raise UserError(
            "a process that reads frames was killed: out of memory, or of shared memory (/dev/shm); "
            "lower data.workers (0 needs no other process) or give the container more (--shm-size)"
        ) from error
    finally:
        _end_workers(ready)


def _end_workers(ready: Iterator[BatchOrError]) -> None:
    """End the workers now: `__del__` would lose a Ctrl-C that arrives meanwhile, and print a traceback.

    torch asks them by a message, and ends those that do not answer by SIGTERM, which ours ignore: one whose message is
    lost would live, and this process wait for it at its exit for ever.
    """
    end = getattr(ready, "_shutdown_workers", None)  # torch has no public name; without workers there is none
    if end:
        with hold_stop_signals():
            end()
            for worker in getattr(ready, "_workers", ()):
                if worker.is_alive():
                    worker.kill()
                    worker.join()


def _return_unchanged(made: Any) -> Any:
    return made


def _start_worker(number: int) -> None:
    # A terminal, a scheduler and torchrun send signals to all processes; the training loop, which saves first, then
    # ends this one.
    ignore_stop_signals()
    unblock_signals()
    keep_freed_memory()
