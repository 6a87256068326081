"""The format of omoi.yaml, and its JSON Schema.

Descriptions complete the sentence "write …": they are shown to whoever wrote something else.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler, field_validator, model_validator
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import PydanticCustomError, core_schema

MAX_ENTRIES: Final = 100
NAME: Final = r"^[A-Za-z][A-Za-z0-9_-]{0,99}$"
VERSION: Final = 1

type Name = Annotated[str, Field(pattern=NAME)]
type Text = Annotated[str, Field(min_length=1, max_length=2000, pattern=r"\S")]
type Off = Literal["off"]


class Strict(BaseModel):
    """A mapping in which only known keys may stand.

    Attributes:
        noun: What its keys are.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)
    noun: ClassVar[str] = "key"

    @field_validator("*", mode="before")
    @classmethod
    def _not_null(cls, value: Any) -> Any:
        # None is what a key holds that was left out; written, it would read as "not asked".
        if value is None:
            raise PydanticCustomError("null", "is empty")
        return value


class ShortForm(Strict):
    """A mapping that may be written as one value: that of `short`."""

    short: ClassVar[str] = "value"

    @model_validator(mode="before")
    @classmethod
    def _lengthen(cls, value: Any) -> Any:
        return value if isinstance(value, dict) else {cls.short: value}

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        long = handler.resolve_ref_schema(handler(schema))
        return {"anyOf": [long["properties"][cls.short], long]}


class CriterionFile(ShortForm):
    severity: Literal["block", "warn"] = Field(default="block", description="block, or warn to be only told")
    claims: Literal["reject", "accept"] = Field(
        default="reject", description="reject, or accept to count a claim where nothing is measured"
    )


class ScopedFile(CriterionFile):
    paths: list[str] = Field(
        default=[], min_length=1, max_length=MAX_ENTRIES, description="a list of patterns such as [src/**]"
    )


class MinLengthFile(CriterionFile):
    value: Annotated[int, Field(ge=1, le=1_000_000)] | Off | None = Field(
        default=None, description='a whole number of characters from 1 to 1000000, or "off"'
    )


class RequiredSectionsFile(CriterionFile):
    value: Annotated[list[str], Field(min_length=1, max_length=MAX_ENTRIES)] | Off | None = Field(
        default=None, description='a list of section names such as [scope, risks], or "off"'
    )


class MinPercentageFile(ScopedFile):
    value: Annotated[float, Field(ge=0, le=100)] | Off | None = Field(
        default=None, description='a number from 0 to 100, or "off"'
    )


class MustHaveTestsFile(ScopedFile):
    value: bool | Off | None = Field(default=None, description='true, false or "off"')


class AllPassedFile(CriterionFile):
    value: bool | Off | None = Field(default=None, description='true, false or "off"')


class CriteriaFile(Strict):
    noun: ClassVar[str] = "criterion"

    min_length: MinLengthFile | None = Field(default=None, description="the least number of characters")
    required_sections: RequiredSectionsFile | None = Field(
        default=None, description="a list of section names"
    )
    min_percentage: MinPercentageFile | None = Field(
        default=None, description="the least line coverage, in percent"
    )
    must_have_tests: MustHaveTestsFile | None = Field(default=None, description="true where code needs tests")
    all_passed: AllPassedFile | None = Field(default=None, description="true where no test may fail")


class ArtifactFile(ShortForm):
    short: ClassVar[str] = "type"

    type: Name = Field(
        description="the type of an artifact in letters, digits, - and _, such as test_results"
    )
    kind: Literal["document", "coverage", "changes", "suite", "presence"] | None = Field(
        default=None, description="document, coverage, changes, suite or presence"
    )


class LimitsFile(Strict):
    max_iterations: int = Field(default=30, ge=1, le=1000, description="a whole number from 1 to 1000")
    wall_clock_seconds: int = Field(default=600, ge=1, le=86_400, description="a whole number, 1 to 86400")
    max_cost_usd: float = Field(default=1.0, gt=0, le=10_000, description="a number above 0, up to 10000")
    max_tokens: int = Field(
        default=500_000, ge=1000, le=100_000_000, description="a whole number from 1000 to 100000000"
    )


class JudgeFile(ShortForm):
    short: ClassVar[str] = "mode"

    mode: Literal["off", "auto", "required"] = Field(
        default="auto", description='"off" in quotes, auto or required'
    )
    model: Text | None = Field(default=None, description="the name of a model")
    criteria: dict[Name, Text] = Field(
        default={},
        max_length=MAX_ENTRIES,
        description="`name: what must be true, in words`, one per line",
    )
    limits: LimitsFile = Field(default=LimitsFile(), description="limits such as max_cost_usd: 1.5")
    judges: int = Field(default=1, ge=1, le=2, description="1 or 2")
    second_model: Text | None = Field(default=None, description="the name of another model")
    max_wrong_passes: float | None = Field(
        default=None, ge=0, le=100, description="a number from 0 to 100: percent of wrong passes in trials"
    )


class ContextFile(Strict):
    condense: bool = Field(default=False, description="true or false")
    max_tokens: int = Field(default=2000, ge=0, le=1_000_000, description="a whole number from 0 to 1000000")


class PhaseFile(Strict):
    required_artifacts: list[ArtifactFile] = Field(
        default=[], min_length=1, max_length=MAX_ENTRIES, description="a list of artifact types, at least one"
    )
    required_tasks_completed: bool = Field(default=True, description="true or false")
    criteria: dict[Name, CriteriaFile] = Field(
        default={}, max_length=MAX_ENTRIES, description="criteria by artifact type, such as test_coverage: …"
    )
    judge: JudgeFile = Field(default=JudgeFile(), description='"off" in quotes, auto, required or a mapping')
    context: ContextFile = Field(default=ContextFile(), description="condense and max_tokens")
    advance: Literal["auto", "manual"] = Field(default="auto", description="auto or manual")
    max_iterations: int = Field(default=3, ge=1, le=100, description="a whole number from 1 to 100")
    max_attempts: int = Field(default=3, ge=1, le=100, description="a whole number from 1 to 100")
    waiver_max_days: int = Field(default=30, ge=0, le=365, description="a whole number from 0 to 365")


class PhasesFile(Strict):
    noun: ClassVar[str] = "phase"

    requirements: PhaseFile = Field(default=PhaseFile(), description="what differs in this phase")
    design: PhaseFile = Field(default=PhaseFile(), description="what differs in this phase")
    implementation: PhaseFile = Field(default=PhaseFile(), description="what differs in this phase")
    testing: PhaseFile = Field(default=PhaseFile(), description="what differs in this phase")
    deployment: PhaseFile = Field(default=PhaseFile(), description="what differs in this phase")


class PolicyFile(Strict):
    """What a team asks for beyond, or instead of, the built-in policy."""

    version: int = Field(ge=VERSION, le=VERSION, description="version: 1 in the first line")
    section_aliases: dict[str, Annotated[list[str], Field(min_length=1, max_length=MAX_ENTRIES)]] = Field(
        default={}, max_length=MAX_ENTRIES, description="headings by section name, such as scope: [mission]"
    )
    phases: PhasesFile = Field(default=PhasesFile(), description="what differs, by phase")


class _Schema(GenerateJsonSchema):
    """No key may be null: what is not said is left out."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        # A default here would be that of the format, and not that of the built-in policy.
        return self.generate_inner(schema["schema"])


def json_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of the format, for editors."""
    schema = PolicyFile.model_json_schema(schema_generator=_Schema)
    return {"$schema": GenerateJsonSchema.schema_dialect, **schema, "title": "omoi.yaml"}
