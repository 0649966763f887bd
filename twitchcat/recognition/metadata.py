"""What a model file says of itself: JSON under the key `twitchcat` of the ONNX metadata."""

import json
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

from twitchcat.errors import ModelError

KEY = "twitchcat"  #: of the entry in the ONNX metadata
FORMAT_VERSION = 1

Fit = Literal["letterbox", "crop"]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]


class ModelClass(BaseModel):
    """A category that the model can name."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Annotated[str, Field(min_length=1)]  #: Twitch's
    name: Annotated[str, Field(min_length=1)]


class ModelMetadata(BaseModel):
    """All that a caller needs to know of a model to feed it and to read its answers.

    Keys that this version does not know are ignored, so that a later twitchcat can add some without a new
    format version; a new one means that old readers would go wrong.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    format_version: Literal[1] = 1
    classes: Annotated[tuple[ModelClass, ...], Field(min_length=1)]  #: in the order of the logits
    input_height: Annotated[int, Field(ge=1, le=4096)]  #: pixels
    input_width: Annotated[int, Field(ge=1, le=4096)]  #: pixels
    fit: Fit  #: how a picture of another aspect comes to the input's size
    frame_interval_s: Positive  #: between the frames of a sequence, as in training
    window: Annotated[int, Field(ge=1)]  #: frames that make a verdict
    temperature: Positive  #: divides the logits before softmax; fitted on validation
    unknown_threshold: Finite  #: a verdict whose largest logit is below it is unknown
    energy_threshold: Finite | None = None  #: the same for logsumexp of the logits; None: not measured
    backbone: str
    head: str
    fingerprint: str  #: of the snapshot it was trained on; "" where there was none
    metrics: dict[str, Any] = Field(default_factory=dict)  #: that it was accepted with
    created_at: AwareDatetime
    twitchcat_version: str  #: that made the file

    @model_validator(mode="after")
    def _classes_differ(self) -> "ModelMetadata":
        if len({one.id for one in self.classes}) < len(self.classes):
            raise ValueError("a class comes twice")
        return self

    def to_json(self) -> str:
        """The metadata as the file holds it."""
        return self.model_dump_json()

    @classmethod
    def from_json(cls, text: str) -> "ModelMetadata":
        """Read what `to_json` wrote. Raises ModelError that says what is wrong with it."""
        try:
            found = json.loads(text)
        except ValueError as error:
            raise ModelError(f"its metadata is no JSON: {error}") from None
        if not isinstance(found, dict) or found.get("format_version") != FORMAT_VERSION:
            version = found.get("format_version") if isinstance(found, dict) else None
            raise ModelError(
                f"its metadata is of format version {json.dumps(version)}, and this twitchcat reads"
                f" {FORMAT_VERSION}: export it again, or use the twitchcat that made it"
            )
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            raise ModelError(_explain(error)) from None


def _explain(error: ValidationError) -> str:
    first = error.errors()[0]
    message = str(first["msg"]).removeprefix("Value error, ")
    where = ".".join(str(part) for part in first["loc"])
    return f"its metadata is wrong: {where + ': ' if where else ''}{message[0].lower()}{message[1:]}"
