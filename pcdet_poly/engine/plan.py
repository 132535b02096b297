"""What happens at which step of a run."""

from __future__ import annotations

from dataclasses import dataclass

from pcdet_poly.config.train import TrainConfig


@dataclass(frozen=True)
class Plan:
    """Steps of a run, counted from 1 once they are done; epochs likewise."""

    cfg: TrainConfig
    steps_per_epoch: int

    @property
    def total_steps(self) -> int:
        """Steps of the whole run."""
        return self.cfg.epochs * self.steps_per_epoch

    def epochs_at(self, step: int) -> int:
        """Whole epochs done after `step` steps."""
        return step // self.steps_per_epoch

    def ends_epoch(self, step: int) -> bool:
        """Whether step number `step` is the last of its epoch."""
        return step > 0 and step % self.steps_per_epoch == 0

    def logs_at(self, step: int) -> bool:
        """Whether to write a log line after step number `step`."""
        return step % self.cfg.log_every == 0 or step == self.total_steps

    def saves_at(self, step: int) -> bool:
        """Whether to write a checkpoint after step number `step`."""
        return step == self.total_steps or (self.ends_epoch(step) and self.epochs_at(step) % self.cfg.save_every == 0)

    def evaluates_at(self, step: int) -> bool:
        """Whether to evaluate after step number `step`; always after the last."""
        every = self.cfg.evaluate_every
        return step == self.total_steps or (every > 0 and self.ends_epoch(step) and self.epochs_at(step) % every == 0)
