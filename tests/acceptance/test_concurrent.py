"""Several processes at once on one embedded server, which starts with the first and ends with the last."""

import json
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.fixtures.cli import Command, as_variables
from tests.fixtures.collecting import QUICK
from twitchcat.config import Settings
from twitchcat.station.server import Station


@pytest.fixture
def command(station: Station, embedded_data_dir: Path, tmp_path: Path) -> Command:
    """The command with an embedded database that nobody has used yet."""
    settings = Settings.model_validate(
        {
            "data_dir": embedded_data_dir,
            **station.settings(),
            "capture": QUICK["capture"],
            "collect": QUICK["collect"],
        }
    )
    return Command(tmp_path, as_variables(settings))


def test_two_collectors_and_a_query_share_an_embedded_server(
    command: Command, embedded_data_dir: Path
) -> None:
    with ExitStack() as stack:
        collectors = [
            stack.enter_context(command.start("collect", "--json", "--for", "3s")) for _ in range(2)
        ]
        answers = [
            command.run("db", "query", "--json", "SELECT count(*) AS frames FROM frame_index")
            for _ in range(3)
        ]
        lines = []
        for process in collectors:
            said, complained = process.communicate(timeout=60)
            assert (process.returncode, complained) == (0, "")
            lines.append([json.loads(line) for line in said.splitlines()])

    assert [answer.returncode for answer in answers] == [0, 0, 0], [answer.stderr for answer in answers]
    counts = [json.loads(answer.stdout)["frames"] for answer in answers]
    assert counts == sorted(counts)

    summaries = [events[-1] for events in lines]
    assert [summary["why"] for summary in summaries] == ["the time is over"] * 2
    outcomes = Counter(event["outcome"] for events in lines for event in events[:-1])
    assert set(outcomes) <= {"kept", "busy"}, outcomes
    assert all(summary["visits"] for summary in summaries), "both had something to do"

    assert not (embedded_data_dir / "postgres" / "postmaster.pid").exists(), "the last one stops the server"
    info = command.json("dataset", "info", "--json")
    assert info["frames"] == sum(summary["frames"] for summary in summaries) > 0
    moments = "SELECT count(*) - count(DISTINCT (channel_id, captured_at)) AS twice FROM frames"
    assert command.json("db", "query", "--json", moments) == {"twice": 0}
    assert command.json("dataset", "sync", "--deep", "--json") == {
        "rows_without_image": 0,
        "images_without_row": 0,
        "checksum_mismatches": 0,
        "expired": 0,
        "removed": 0,
    }
