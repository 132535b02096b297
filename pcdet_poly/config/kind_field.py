"""A section that comes in kinds, as a pydantic field: `kind` chooses the class, also one of a user's package."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Union

from pydantic import BaseModel, Field, GetCoreSchemaHandler, GetJsonSchemaHandler, TypeAdapter, ValidationError
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, InitErrorDetails, PydanticCustomError, PydanticKnownError, core_schema

from pcdet_poly.config.kind_tables import KindTable, name_settings
from pcdet_poly.config.kinds import DetectorKind, LossKind
from pcdet_poly.config.sections.cell_loss import LossSection
from pcdet_poly.config.sections.detector import DetectorSection
from pcdet_poly.config.sections.section import Section
from pcdet_poly.errors import UserError


class KindField:
    """Annotation of such a field: `model: Annotated[DetectorSection, KindField(DETECTORS)]`."""

    def __init__(
        self, table: KindTable[DetectorKind] | KindTable[LossKind], *, follows_another_setting: bool = False
    ) -> None:
        self.table = table
        # A config need not write the kind then, and without it an editor can find that several kinds fit.
        self.follows_another_setting = follows_another_setting

    def list_settings(self) -> list[type[Section]]:
        """Return the settings of every kind that is available."""
        return [name_settings(kind.settings, name) for name, kind in self.table.list_available().items()]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Validate by the table, and write a value as its own class has it."""
        write = core_schema.plain_serializer_function_ser_schema(_dump_section, info_arg=True)
        return core_schema.no_info_plain_validator_function(self._validate, serialization=write)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Describe every kind that is available; `kind` tells them apart."""
        union: Any = Union[tuple(self.list_settings())]  # noqa: UP007
        tagged: Any = Annotated[union, Field(discriminator="kind")]
        described = handler(TypeAdapter(tagged).core_schema)
        if self.follows_another_setting:
            described |= {"anyOf": described.pop("oneOf")}
        return described

    def _validate(self, value: Any) -> Section:
        if isinstance(value, DetectorSection | LossSection) and hasattr(value, "kind"):
            return value
        if not isinstance(value, Mapping):
            raise PydanticKnownError("model_attributes_type")
        name = value.get("kind")
        try:
            if not isinstance(name, str):
                raise UserError(f"the name of a {self.table.noun} is needed")
            settings = name_settings(self.table.find(name).settings, name)
        except UserError as error:
            reason = PydanticCustomError("unknown_kind", "{reason}", {"reason": str(error)})
            raise ValidationError.from_exception_data(
                self.table.noun, [InitErrorDetails(type=reason, loc=("kind",), input=name)]
            ) from None
        return settings.model_validate(value)


def _dump_section(value: BaseModel, info: core_schema.SerializationInfo) -> dict[str, Any]:
    return value.model_dump(mode=info.mode)
