"""One model file, loaded and ready to answer."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from twitchcat.errors import ModelError
from twitchcat.recognition.fit import Rgb, fit_picture
from twitchcat.recognition.metadata import KEY, ModelMetadata
from twitchcat.recognition.providers import RUNTIME_ERRORS, new_session, quiet_run, working_providers

#: What flows from one run to the next: one array for each state input, in the order of the file.
State = tuple[NDArray[Any], ...]

FRAMES, LOGITS, EMBEDDINGS = "frames", "logits", "embeddings"
NEW = "new_"  #: the output `new_X` is the state that the input `X` takes next
_TYPES = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(bool)": np.bool_,
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)  # arrays have no single ==
class ModelOutput:
    """What the model makes of B sequences of T frames."""

    logits: NDArray[np.float32]  #: (B, T, C) float32, before the temperature
    embeddings: NDArray[np.float32]  #: (B, T, D) float32
    state: State  #: to go on with


class RecognitionModel:
    """A model file in an onnxruntime session. Made by `load`; several threads may use it at once."""

    def __init__(self, session: onnxruntime.InferenceSession, metadata: ModelMetadata, path: Path) -> None:
        self._session = session
        self.metadata = metadata
        self.path = path
        self._states = [one for one in session.get_inputs() if one.name != FRAMES]
        self._outputs = [LOGITS, EMBEDDINGS, *(NEW + one.name for one in self._states)]
        self._options = quiet_run()

    @classmethod
    def load(
        cls, path: Path, *, providers: Sequence[str] | None = None, threads: int | None = None
    ) -> "RecognitionModel":
        """Load a model file.

        `providers` are onnxruntime's execution providers, best first; None: those that work here. `threads`
        share the work of one run; None: one for each core this process may use, 8 at most.
        Raises ModelError for a file that is missing, truncated, foreign or without valid metadata.
        """
        _check_file(path)
        session = _session(path, providers or working_providers(), threads)
        entries = session.get_modelmeta().custom_metadata_map
        if KEY not in entries:
            raise ModelError(
                f"{path} is refused: it has no metadata of twitchcat, so nobody knows its categories;"
                " only files that twitchcat exported can be used"
            )
        try:
            metadata = ModelMetadata.from_json(entries[KEY])
            _check_interface(session, metadata)
        except ModelError as error:
            raise ModelError(f"{path} is refused: {error}") from None
        return cls(session, metadata, path)

    @property
    def providers(self) -> tuple[str, ...]:
        """The execution providers in use, best first."""
        return tuple(self._session.get_providers())

    @property
    def state_names(self) -> tuple[str, ...]:
        """The names of the inputs that make up the state."""
        return tuple(one.name for one in self._states)

    def prepare(self, rgb: Rgb) -> Rgb:
        """Bring a picture (H, W, 3) uint8 RGB to the input's size, as in training. Leaves its input alone."""
        about = self.metadata
        return fit_picture(rgb, height=about.input_height, width=about.input_width, fit=about.fit)

    def initial_state(self, batch: int) -> State:
        """The state before the first frame of `batch` sequences: zeros, by the definition of the file."""
        return tuple(
            np.zeros([size if isinstance(size, int) else batch for size in one.shape], _TYPES[one.type])
            for one in self._states
        )

    def run(self, frames: NDArray[np.uint8], state: State | None = None) -> ModelOutput:
        """Recognize frames (B, T, H, W, 3) uint8 RGB of the input's size, B and T >= 1.

        `state` is that of the run before on the same B sequences; None: they begin here.
        Raises ValueError for frames or a state of another shape, ModelError if the runtime fails.
        """
        size = (self.metadata.input_height, self.metadata.input_width, 3)
        if frames.ndim != 5 or frames.shape[2:] != size or frames.dtype != np.uint8 or 0 in frames.shape:
            raise ValueError(f"frames are (B, T, {size[0]}, {size[1]}, 3) uint8, not {_looks(frames)}")
        begin = self.initial_state(frames.shape[0])
        given = begin if state is None else state
        if [_looks(one) for one in given] != [_looks(one) for one in begin]:
            raise ValueError(f"the state is {list(map(_looks, begin))}, not {list(map(_looks, given))}")
        feed = {FRAMES: np.ascontiguousarray(frames)}
        feed |= {one.name: array for one, array in zip(self._states, given, strict=True)}
        try:
            logits, embeddings, *new = self._session.run(self._outputs, feed, self._options)
        except RUNTIME_ERRORS as error:
            raise ModelError(f"{self.path}: onnxruntime failed: {_first_line(error)}") from error
        return ModelOutput(logits=logits, embeddings=embeddings, state=tuple(new))


def _check_file(path: Path) -> None:
    try:
        with path.open("rb") as file:
            empty = not file.read(1)
    except FileNotFoundError:
        raise ModelError(f"there is no model at {path}") from None
    except OSError as error:
        raise ModelError(f"the model {path} cannot be read: {error.strerror}") from error
    if empty:
        raise ModelError(f"{path} is refused: it is empty")


def _session(path: Path, providers: Sequence[str], threads: int | None) -> onnxruntime.InferenceSession:
    try:
        return new_session(str(path), providers=providers, threads=threads)
    except RUNTIME_ERRORS as error:
        raise ModelError(
            f"{path} is refused: it is no ONNX file, or not all of one (onnxruntime: {_first_line(error)})"
        ) from error


def _check_interface(session: onnxruntime.InferenceSession, metadata: ModelMetadata) -> None:
    """Compare inputs and outputs with what the metadata promise. Raises ModelError."""
    inputs = {one.name: one for one in session.get_inputs()}
    outputs = {one.name: one for one in session.get_outputs()}
    states = [name for name in inputs if name != FRAMES]
    wanted = [FRAMES, LOGITS, EMBEDDINGS, *(NEW + name for name in states)]
    missing = [name for name in wanted if name not in (inputs if name == FRAMES else outputs)]
    if missing:
        raise ModelError(f"it lacks {', '.join(missing)} among its inputs and outputs")
    size = [metadata.input_height, metadata.input_width, 3]
    frames = inputs[FRAMES]
    if frames.type != "tensor(uint8)" or len(frames.shape) != 5 or frames.shape[2:] != size:
        raise ModelError(f"its frames are {frames.type} {frames.shape}, its metadata says {size}")
    if any(isinstance(one, int) for one in frames.shape[:2]):
        raise ModelError(f"it takes only {frames.shape[:2]} frames at once, not any number")
    classes = outputs[LOGITS].shape[-1]
    if isinstance(classes, int) and classes != len(metadata.classes):
        raise ModelError(f"it tells {classes} classes apart and names {len(metadata.classes)}")
    unknown = [one.type for one in session.get_inputs() if one.name in states and one.type not in _TYPES]
    if unknown:
        raise ModelError(f"its state is of type {unknown[0]}")


def _looks(array: NDArray[Any]) -> str:
    return f"{array.shape} {array.dtype}"


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
