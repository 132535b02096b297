"""What happens at which step of a run."""

from __future__ import annotations

from dataclasses import dataclass

from pcdet_poly.config.schema import Config
from pcdet_poly.config.sections.train import TrainConfig
from pcdet_poly.data.load.dataset import FrameDataset
from pcdet_poly.data.load.loader import count_steps_per_epoch
from pcdet_poly.distributed import world_size
from pcdet_poly.engine.optim import count_warmup_steps
from pcdet_poly.errors import UserError


@dataclass(frozen=True)
class Timeline:
    """Steps of a run, counted from 1 once they are done; epochs likewise."""

    cfg: TrainConfig
    steps_per_epoch: int

    def __post_init__(self) -> None:
        if count_warmup_steps(self.total_steps, self.cfg) >= self.total_steps:
            raise UserError(
                f"train.warmup = {self.cfg.warmup}: all of the {self.total_steps} steps; lower it, "
                "or raise train.epochs or train.steps"
            )

    @property
    def total_steps(self) -> int:
        """Steps of the whole run."""
        return self.cfg.steps or self.cfg.epochs * self.steps_per_epoch

    @property
    def epochs(self) -> int:
        """Epochs of the whole run; the last may be cut short."""
        return -(-self.total_steps // self.steps_per_epoch)

    def count_steps_in(self, epoch: int) -> int:
        """Return the number of steps of an epoch; `epoch` is counted from 0."""
        return min(self.steps_per_epoch, self.total_steps - epoch * self.steps_per_epoch)

    def count_whole_epochs(self, step: int) -> int:
        """Return the number of whole epochs done after `step` steps."""
        return step // self.steps_per_epoch

    def is_epoch_end(self, step: int) -> bool:
        """Return whether step number `step` is the last of its epoch."""
        return step > 0 and step % self.steps_per_epoch == 0

    def should_log(self, step: int) -> bool:
        """Return whether to write a log line after step number `step`."""
        return step % self.cfg.log_every == 0 or step == self.total_steps

    def should_save(self, step: int) -> bool:
        """Return whether to write a checkpoint after step number `step`."""
        return step == self.total_steps or (
            self.is_epoch_end(step) and self.count_whole_epochs(step) % self.cfg.save_every == 0
        )

    def should_evaluate(self, step: int) -> bool:
        """Return whether to evaluate after step number `step`; always true after the last."""
        every = self.cfg.evaluate_every
        return step == self.total_steps or (
            every > 0 and self.is_epoch_end(step) and self.count_whole_epochs(step) % every == 0
        )


def build_timeline(config: Config, frames: FrameDataset) -> Timeline:
    """Return the timeline of a training on `frames`."""
    return Timeline(config.train, count_steps_per_epoch(config, frames, world_size=world_size()))
