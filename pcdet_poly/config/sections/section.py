"""What every section of a config is made of."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


def refuse_truth_value(value: Any) -> Any:
    """Return anything but `true` and `false`, which would be 1 and 0. Raises ValueError for these."""
    if isinstance(value, bool):
        raise ValueError(f"{str(value).lower()}: a number needed")
    return value


def parse_number(value: Any) -> Any:
    """Return the number that a text stands for, and other numbers as they are: PyYAML reads `1e-3` as text."""
    refuse_truth_value(value)
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value


def split_names(value: Any) -> Any:
    """Return the names of a text such as `a,b`, and anything else as it is: shells read brackets as patterns."""
    if not isinstance(value, str):
        return value
    names = tuple(name.strip() for name in value.split(","))
    if not all(names):
        raise ValueError(f"{value!r} has an empty name between its commas")
    return names


Names = Annotated[tuple[str, ...], BeforeValidator(split_names)]
Real = Annotated[float, BeforeValidator(parse_number)]
Positive = Annotated[float, BeforeValidator(parse_number), Field(gt=0)]
NotNegative = Annotated[float, BeforeValidator(parse_number), Field(ge=0)]
Fraction = Annotated[float, BeforeValidator(parse_number), Field(ge=0, le=1)]
Decay = Annotated[float, BeforeValidator(parse_number), Field(ge=0, lt=1)]
Count = Annotated[int, BeforeValidator(refuse_truth_value), Field(ge=1)]


class Section(BaseModel):
    """Base of every section: frozen, and an unknown key or a number that is not finite is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)
