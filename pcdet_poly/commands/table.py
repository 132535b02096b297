"""The table of commands: what each is called, where its code is, what it does in one line."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from types import ModuleType


@dataclass(frozen=True)
class Command:
    """One sub-command of `pcdet-poly`. Its module has `add_arguments(parser)` and `run(options)`."""

    name: str
    module: str  # below pcdet_poly.commands; imported only when the command is called
    help: str
    runs_networks: bool = False  # of full size, for minutes at least: the memory that they free is kept

    def load(self) -> ModuleType:
        """Import the command's module."""
        return import_module(f"pcdet_poly.commands.{self.module}")


GROUPS: dict[str, tuple[Command, ...]] = {
    "Data": (
        Command("simulate", "data.simulate", "write simulated LiDAR segments as Waymo files"),
        Command("preprocess", "data.preprocess", "convert Waymo files into a frame store"),
        Command(
            "import-frames", "data.import_frames", "convert your own frames, or a known data set's, into a frame store"
        ),
        Command("check", "data.check", "verify every frame of a store, print what they hold"),
        Command("build-bank", "data.build_bank", "collect labelled objects to paste into training frames"),
    ),
    "Runs": (
        Command("demo", "detectors.demo", "simulate, convert, train and evaluate, all of it small"),
        Command("train", "detectors.train", "train a detector", runs_networks=True),
        Command("test", "detectors.test", "evaluate a run: metrics, detections, pictures", runs_networks=True),
        Command("detect", "detectors.detect", "detect objects in point cloud files", runs_networks=True),
        Command("view", "detectors.view", "look at the frames of a run or a store"),
        Command("export", "detectors.export", "write a run's network, or its whole detector, as an ONNX file"),
        Command("detect-onnx", "detectors.detect_onnx", "detect objects by such a file, without torch"),
        Command(
            "import-checkpoint",
            "detectors.import_checkpoint",
            "turn OpenPCDet's, CenterPoint's or PillarNeXt's weights into a run",
        ),
    ),
    "Metrics": (
        Command("evaluate", "metrics.evaluate", "compute Waymo's detection metrics of files"),
        Command("submit", "metrics.submit", "write a run's detections as Waymo's server takes them"),
    ),
    "Studies": (
        Command("sweep", "studies.sweep", "train every model, arm and seed of a study"),
        Command("report", "studies.report", "write the report of a study"),
        Command("answers", "studies.answers", "print the answers of several studies as one table"),
        Command("simulate-rules", "studies.simulate_rules", "print how often the report's rules err"),
        Command("loss-lab", "studies.loss_lab", "draw what a loss's coefficients do"),
        Command("paper", "studies.paper", "repeat the paper's comparisons at a small scale", runs_networks=True),
        Command("digits", "studies.digits", "repeat the paper's findings on small images"),
    ),
    "Looking inside": (
        Command("config", "inspect.config", "show the settings of a config, or their JSON schema"),
        Command("summary", "inspect.summary", "count a detector's parameters and arithmetic"),
        Command("reference", "inspect.reference", "compare our code with numbers of other projects' own code"),
        Command("compare-simulation", "inspect.compare_simulation", "compare simulated with real frames"),
        Command("draw-simulation", "inspect.draw_simulation", "draw one simulated frame"),
        Command("gpu-check", "inspect.gpu_check", "check a GPU: kernels, speed, memory, several GPUs"),
        Command("completion", "inspect.completion", "print shell completion for bash, zsh or fish"),
    ),
}
# Started by other commands, not by people.
HIDDEN = (Command("trial", "studies.trial", "train one trial of a sweep", runs_networks=True),)
COMMANDS: dict[str, Command] = {
    command.name: command for command in (*(each for group in GROUPS.values() for each in group), *HIDDEN)
}
