"""The files under docker/, as far as they can be judged without Docker: they call what there is."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from twitchcat.cli.app import app
from twitchcat.config import ENV_PREFIX, known_keys

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "docker/Dockerfile").read_text()
COMPOSE = (ROOT / "docker/compose.yaml").read_text()
ENVIRONMENT = (ROOT / "docker/.env.example").read_text()


def calls() -> Iterator[list[str]]:
    """The arguments of every call of twitchcat."""
    yield from (json.loads(found) for found in re.findall(r"^\s+command: (\[.*\])$", COMPOSE, re.MULTILINE))
    for found in re.findall(r"^\s*CMD (\[.*\])$", DOCKERFILE, re.MULTILINE):
        arguments = json.loads(found)
        yield arguments[1:] if arguments[0] == "twitchcat" else arguments


def test_there_are_calls_to_look_at() -> None:
    assert [" ".join(call) for call in calls()] == [
        "db upgrade",
        "collect",
        "doctor --only database --only storage",
        "--help",
    ]


@pytest.mark.parametrize("call", list(calls()), ids=" ".join)
def test_every_call_is_one_that_twitchcat_takes(call: list[str]) -> None:
    # Commands and options that do not exist are refused before the help is shown.
    done = CliRunner().invoke(app, [*call, "--help"])
    assert done.exit_code == 0, done.output


def test_every_setting_named_is_one() -> None:
    known = {ENV_PREFIX + key.replace(".", "__").upper() for key in known_keys()}
    text = DOCKERFILE + COMPOSE + ENVIRONMENT
    named = set(re.findall(rf"\b({ENV_PREFIX}[A-Z_]+)(?==|:)", text))
    assert len(named) >= 5
    assert named <= known


def test_what_is_copied_into_the_image_exists_and_is_sent_to_docker() -> None:
    sent = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    sources = [
        source
        for line in re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE)
        for source in line.split()
    ]
    assert "twitchcat" in sources
    for source in sources:
        assert (ROOT / source).exists()
        assert source in sent


def test_the_example_of_the_environment_holds_no_secret() -> None:
    values = dict(re.findall(r"^([A-Z_]+)=(.*)$", ENVIRONMENT, re.MULTILINE))
    assert set(values.values()) == {"''"}
    assert "POSTGRES_PASSWORD" in values


def test_the_image_runs_as_an_ordinary_user() -> None:
    assert re.findall(r"^USER (.+)$", DOCKERFILE, re.MULTILINE) == ["twitchcat"]
