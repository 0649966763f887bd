"""What a model file says of itself."""

import json
from typing import Any

import pytest

from tests.fixtures.models import metadata_of
from twitchcat.errors import ModelError
from twitchcat.recognition.metadata import ModelMetadata

WHOLE: dict[str, Any] = json.loads(metadata_of(metrics={"window_accuracy": 0.9}).to_json())


def test_metadata_survive_the_file() -> None:
    metadata = metadata_of(energy_threshold=1.5, metrics={"window_accuracy": 0.9})
    assert ModelMetadata.from_json(metadata.to_json()) == metadata


def test_keys_of_a_later_version_of_the_same_format_are_ignored() -> None:
    assert ModelMetadata.from_json(json.dumps(WHOLE | {"crops": 3})) == ModelMetadata.from_json(
        json.dumps(WHOLE)
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param("{", "no JSON", id="cut off"),
        pytest.param("[]", "format version null", id="a list"),
        pytest.param("{}", "format version null", id="nothing in it"),
        pytest.param(
            json.dumps(WHOLE | {"format_version": 2, "classes": {}}), "version 2", id="a later format"
        ),
        pytest.param(json.dumps(WHOLE | {"format_version": "1"}), 'version "1"', id="version as text"),
        pytest.param(json.dumps(WHOLE | {"classes": []}), "classes: ", id="no classes"),
        pytest.param(
            json.dumps(WHOLE | {"classes": WHOLE["classes"] * 2}), "comes twice", id="a class twice"
        ),
        pytest.param(json.dumps(WHOLE | {"fit": "stretch"}), "fit: ", id="unknown fit"),
        pytest.param(json.dumps(WHOLE | {"temperature": 0}), "temperature: ", id="temperature zero"),
        pytest.param(json.dumps(WHOLE | {"created_at": "2026-11-21T12:00:00"}), "created_at: ", id="no zone"),
        pytest.param(
            json.dumps({key: value for key, value in WHOLE.items() if key != "window"}),
            "window: ",
            id="a key is missing",
        ),
    ],
)
def test_wrong_metadata_are_refused_with_a_sentence_that_says_why(text: str, says: str) -> None:
    with pytest.raises(ModelError) as caught:
        ModelMetadata.from_json(text)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
