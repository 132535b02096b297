"""What a study asks, written down before it runs: the main metric, contrasts of arms, a trend."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from pcdet_poly.config.sections.section import Count, Real, Section, parse_number


class MainMetric(Section):
    """The metric that decides; all others are exploratory, or stand beside it."""

    box_type: Literal["BEV", "3D"] = "BEV"
    """Overlap seen from above, or in space. 3D at IoU 0.7 measures boxes more than the classification."""
    level: Literal[1, 2] = 1
    """Waymo's difficulty: 1 leaves out objects with few points, 2 has all."""
    metric: Literal["ap", "aph"] = "ap"
    """Average precision, or weighted by heading."""
    classes: Literal["learnt"] | tuple[str, ...] = "learnt"
    """Classes whose mean is taken: those that some arm has learnt, or the ones that are named."""


def _check_weights(weights: dict[str, float]) -> dict[str, float]:
    if sum(map(abs, weights.values())) == 0 or abs(sum(weights.values())) > 1e-6:
        raise ValueError(f"weights {list(weights.values())}: they must add up to 0, and not all be 0")
    return weights


class Contrast(Section):
    """A planned question: a weighted sum of arms that is 0 if there is no effect."""

    name: Annotated[str, Field(min_length=1)]
    """What is asked, in a few words: `polynomial at equal size`."""
    weights: Annotated[dict[str, Real], AfterValidator(_check_weights)]
    """Arm -> weight, adding up to 0: `{eps2-matched: 1, focal: -1}`."""
    expect: Literal["worse", "not worse"] | None = None
    """For positive controls: what it must show if the study can see anything; `worse` is a sum below 0."""


class Questions(Section):
    """All that a study plans to ask."""

    main: MainMetric = MainMetric()
    """The metric that decides."""
    contrasts: tuple[Contrast, ...] = ()
    """Weighted sums of arms, corrected for their number by Holm's method."""
    trend: str | None = None
    """A setting with numbers, `classification.epsilon`: is there a slope over the arms that differ by it alone?"""

    @model_validator(mode="after")
    def _check_names(self) -> Self:
        names = [contrast.name for contrast in self.contrasts]
        if twice := [name for name in names if names.count(name) > 1]:
            raise ValueError(f"contrasts: two are called {twice[0]!r}; give each its own name")
        return self

    def check_arms(self, arms: Sequence[str]) -> None:
        """Raise ValueError where a contrast names an arm that there is not."""
        for contrast in self.contrasts:
            if unknown := [arm for arm in contrast.weights if arm not in arms]:
                raise ValueError(
                    f"contrasts: {contrast.name}: no arm is called {unknown[0]!r}; there are {', '.join(arms)}"
                )


PerSeed = dict[str, tuple[Any, ...]]  # setting -> one value for each seed


def check_per_seed(settings: PerSeed, num_seeds: int) -> None:
    """Raise ValueError where a setting has not one value for each seed, or is one that all seeds must share."""
    for key, values in settings.items():
        if key == "train.seed" or key.startswith(("data.val", "evaluation.")):
            raise ValueError(f"per_seed: {key} must be the same in all trials that are compared")
        if len(values) != num_seeds:
            raise ValueError(f"per_seed: {key} has {len(values)} values for {num_seeds} seeds")


class Halving(Section):
    """Successive halving of a grid of arms."""

    steps: tuple[Count, ...] = Field(min_length=1)
    """Steps of every training in each round, ascending: `[300, 900]`."""
    keep: Annotated[float, BeforeValidator(parse_number), Field(gt=0, lt=1)] = 1 / 3
    """Share of the arms that goes on after a round, apart for arms with and without a polynomial; rounded up."""
    final_steps: Count
    """Steps of the trainings in the final comparison."""
    final_seeds: tuple[Annotated[int, Field(ge=0)], ...] = Field(min_length=3)
    """Seeds of the final comparison, none of them one that has chosen."""

    def check_seeds(self, seeds: Sequence[int]) -> None:
        """Raise ValueError where a final seed has chosen arms, too."""
        if both := sorted(set(seeds) & set(self.final_seeds)):
            raise ValueError(f"halving: seed {both[0]} chooses arms and compares them; take fresh final_seeds")
