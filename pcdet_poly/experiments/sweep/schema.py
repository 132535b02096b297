"""A sweep's YAML file -> its trials: detectors x arms x seeds, each with a whole config."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, ValidationError, model_validator

from pcdet_poly.config.find import find_base
from pcdet_poly.config.load import load_config
from pcdet_poly.config.schema import Config
from pcdet_poly.config.sections.section import Count, NotNegative, Section
from pcdet_poly.config.yaml_nodes import construct_value, read_yaml_file
from pcdet_poly.errors import UserError, suggest_word
from pcdet_poly.experiments.sweep.questions import Contrast, Halving, MainMetric, PerSeed, Questions, check_per_seed


def _check_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.+-]*", name):
        raise ValueError(f"{name!r}: a name goes into folder names: letters, digits, '.', '+' and '-' only")
    return name


Name = Annotated[str, AfterValidator(_check_name)]
Overrides = dict[str, Any]  # "section.key" -> value, as on the command line


class Arm(Section):
    """One way to train, which is compared with the others."""

    name: Name
    """Its name in tables and folders."""
    overrides: Overrides = Field(default_factory=dict)
    """Settings that make this arm: `classification.epsilon: 1`."""
    config: str | None = None
    """Config file of another detector, in place of the one under `models`, relative to the sweep's file or the name of
    one of ours. The arm shares the frames and their order with the others, and no first weights."""
    expect: Literal["worse", "not worse"] | None = None
    """For controls: what the study must find if it can see anything; the report says whether it did."""


class Sweep(Section):
    """The content of a sweep's file: every detector is trained with every arm and every seed."""

    models: dict[Name, str] = Field(min_length=1)
    """Name of a detector -> its config file, relative to the sweep's file, or the name of one of ours."""
    overrides: Overrides = Field(default_factory=dict)
    """Settings that win over the config file's in every trial."""
    arms: tuple[Arm, ...] = ()
    """Arms that are listed one by one."""
    grid: dict[str, tuple[Any, ...]] = Field(default_factory=dict)
    """Setting -> values: an arm for every combination, named by the last word of each setting and its value."""
    seeds: tuple[Annotated[int, Field(ge=0)], ...] = Field(default=(0, 1, 2, 3, 4), min_length=1)
    """`train.seed` of the trials of each arm. One seed, one set of weights, one order of frames for all arms."""
    per_seed: PerSeed = Field(default_factory=dict)
    """Setting -> one value per seed: `data.train: [[a], [b], [c]]` gives each seed its own training data, so that
    intervals over seeds are about other training data, too. All arms of a seed share it."""
    baseline: Name
    """Arm that the others are compared with."""
    halving: Halving | None = None
    """Train all arms for few steps, the best for more, and compare the best with fresh seeds."""
    main: MainMetric = MainMetric()
    """The metric that decides."""
    contrasts: tuple[Contrast, ...] = ()
    """Planned questions: weighted sums of arms."""
    trend: str | None = None
    """A setting with numbers, `classification.epsilon`: is there a slope over the arms that differ by it alone?"""
    threads: Count = 1
    """CPU threads of a trial."""
    gpus: NotNegative = 0
    """GPUs of a trial: 0.25 lets four share one; 2 trains each trial on two (torchrun)."""
    lockstep: Literal["auto"] | bool = "auto"
    """Train arms of a seed that differ in losses and optimisation alone in one process, step by step beside each other,
    so that frames are read once. Changes no number. `auto`: as long as every worker has something to do."""
    pieces_per_segment: Count = 1
    """Cut each validation segment into so many pieces of consecutive frames to resample. More than 1 only where there
    are too few segments: neighbouring pieces are alike, so intervals become too short."""

    @model_validator(mode="after")
    def _check_arms(self) -> Self:
        names = [arm.name for arm in self.all_arms]
        if twice := [name for name in names if names.count(name) > 1]:
            raise ValueError(f"arms: two are called {twice[0]!r}; give each its own name")
        if self.baseline not in names:
            advice = suggest_word(self.baseline, names) or f"; there are {', '.join(names) or 'none'}"
            raise ValueError(f"baseline: no arm is called {self.baseline!r}{advice}")
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"seeds: {list(self.seeds)} has one of them twice")
        if self.gpus > 1 and self.gpus != int(self.gpus):
            raise ValueError(f"gpus: {self.gpus:g} is neither a whole number nor a part of one GPU")
        if self.gpus > 1 and self.lockstep is True:
            raise ValueError("lockstep: a process has one GPU; set gpus to 1 or less, or leave lockstep out")
        self._check_configs()
        check_per_seed(self.per_seed, len(self.seeds))
        self.questions.check_arms(names)
        if self.halving:
            self.halving.check_seeds(self.seeds)
            if self.per_seed or self.contrasts:
                raise ValueError("halving: leave out per_seed and contrasts, the final comparison has its own")
        return self

    def _check_configs(self) -> None:
        own = [arm.name for arm in self.arms if arm.config is not None]
        if own and len(self.models) > 1:
            raise ValueError(f"arms: {own[0]!r} has a config of its own, and models names several; leave one of them")
        if self.baseline in own:
            raise ValueError(f"baseline: {self.baseline!r} has a config of its own; give that under models")
        if own and self.halving:
            raise ValueError(f"halving: it tunes the settings of one detector, and {own[0]!r} has a config of its own")

    @property
    def questions(self) -> Questions:
        """What the study plans to ask."""
        return Questions(main=self.main, contrasts=self.contrasts, trend=self.trend)

    def list_seed_overrides(self, seed: int) -> Overrides:
        """List the settings that the trials of one seed share."""
        number = self.seeds.index(seed)
        return {key: values[number] for key, values in self.per_seed.items()} | {"train.seed": seed}

    def keep_first_seeds(self, count: int) -> Self:
        """Return the sweep with its first `count` seeds alone, each with its own settings."""
        per_seed = {key: values[:count] for key, values in self.per_seed.items()}
        return self.model_copy(update={"seeds": self.seeds[:count], "per_seed": per_seed})

    @property
    def all_arms(self) -> tuple[Arm, ...]:
        """The arms by name, then those of the grid."""
        combinations = itertools.product(*self.grid.values()) if self.grid else ()
        return (*self.arms, *(_build_grid_arm(tuple(self.grid), values) for values in combinations))


def _build_grid_arm(settings: Sequence[str], values: Sequence[Any]) -> Arm:
    pairs = zip(settings, values, strict=True)
    words = [f"{setting.rpartition('.')[2].replace('_', '-')}{value}" for setting, value in pairs]
    return Arm(name="-".join(words), overrides=dict(zip(settings, values, strict=True)))


@dataclass(frozen=True)
class Trial:
    """One training: a detector, an arm and a seed."""

    detector: str
    arm: str
    seed: int
    config: Config
    has_own_config: bool = False  # its arm is another detector than the others

    @property
    def name(self) -> str:
        """Name of its run folder."""
        return f"{self.detector}_{self.arm}_seed{self.seed}"

    @property
    def network(self) -> tuple[str, ...]:
        """What the trials of one network share."""
        return (self.detector, self.arm) if self.has_own_config else (self.detector,)


def read_sweep(path: Path) -> Sweep:
    """Read a sweep's YAML file. Raises UserError that names the file and the key."""
    if not path.is_file():
        raise UserError(f"{path}: no such sweep file; `pcdet-poly config list` shows ours")
    node = read_yaml_file(path)
    values = None if node is None else construct_value(node, str(path))
    try:
        return Sweep.model_validate(values)
    except ValidationError as error:
        raise UserError(f"{path}: {_describe_first(error, values)}") from None


def _describe_first(error: ValidationError, values: Any) -> str:
    """Say what is wrong with a sweep's file: an unknown key rather than one that is missing, which it may stand for."""
    mistakes = error.errors(include_url=False)
    first = next((one for one in mistakes if one["type"] == "extra_forbidden"), mistakes[0])
    kind, where, message = first["type"], first["loc"], first["msg"]
    place = ".".join(map(str, where))
    if kind == "missing":
        return f"{place}: needed, and not given"
    if kind != "extra_forbidden":
        return f"{place + ': ' if place else ''}{message.removeprefix('Value error, ')}"
    if place in Config.model_fields and "models" not in values:
        return f"{place}: of a config, and a sweep's file names configs under `models:`; run pcdet-poly train"
    names = Sweep.model_fields if len(where) == 1 else Arm.model_fields if where[0] == "arms" else ()
    return f"{place}: no such key{suggest_word(str(where[-1]), names)}"


def list_trials(sweep: Sweep, folder: Path, extra: Sequence[str] = ()) -> list[Trial]:
    """List every trial, seeds in the outer loop, so that comparisons are complete as early as can be.

    Args:
        sweep: content of the sweep's file.
        folder: where that file lies; the detectors' config files are relative to it.
        extra: overrides from the command line, for all trials: `train.epochs=2`.

    Returns:
        The trials, each with a whole config.

    Raises:
        UserError: an arm's config is wrong.
    """
    trials = []
    for seed, (detector, file), arm in itertools.product(sweep.seeds, sweep.models.items(), sweep.all_arms):
        fixed = sweep.list_seed_overrides(seed) | {"train.threads": sweep.threads}
        # Later words win.
        words = [*_format_overrides(sweep.overrides), *_format_overrides(arm.overrides)]
        words += [*extra, *_format_overrides(fixed)]
        try:
            config = load_config(find_base(arm.config or file, folder), words)
        except UserError as error:
            raise UserError(f"arm {arm.name}: {error}") from None
        trials.append(Trial(detector, arm.name, seed, config, has_own_config=arm.config is not None))
    return trials


def _format_overrides(overrides: Mapping[str, Any]) -> list[str]:
    return [f"{key}={json.dumps(value)}" for key, value in overrides.items()]
