"""What is told of a database that could not be made."""

from pathlib import Path

import pytest

from twitchcat.dataset.binaries import why_not_made

PRINTED = """initdb failed: The files belonging to this database system will be owned by user "ana".
creating subdirectories ... ok
running bootstrap script ... 2026-11-21 04:33:14.177 UTC FATAL:  could not extend file "base/1/2691": {}
Aborted
initdb: removing contents of data directory"""


@pytest.mark.parametrize("reason", ["No space left on device", "Disk quota exceeded"])
def test_a_full_disk_is_one_sentence_that_says_how_much_is_needed(reason: str, tmp_path: Path) -> None:
    told = why_not_made(PRINTED.format(reason), tmp_path)
    assert told.startswith(f"there is no space left under {tmp_path} for the embedded database")
    assert "about 60 MB" in told
    assert "\n" not in told


def test_anything_else_is_one_sentence_and_the_place_of_all_that_was_said(tmp_path: Path) -> None:
    printed = PRINTED.format("Input/output error")
    told = why_not_made(printed, tmp_path)
    assert told.startswith("the embedded database could not be made: ")
    assert "Input/output error" in told
    assert "\n" not in told
    (log,) = tmp_path.iterdir()
    assert str(log) in told
    assert log.read_text(encoding="utf-8") == printed
