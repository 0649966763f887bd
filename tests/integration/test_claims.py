"""Claims: no two processes visit a channel at once, and a process that dies leaves none behind."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.fixtures.collecting import Dataset
from twitchcat.config import Settings
from twitchcat.dataset.database import open_database
from twitchcat.dataset.locks import ChannelClaims
from twitchcat.errors import StoreError


@pytest.fixture
def claims(settings: Settings) -> Iterator[tuple[ChannelClaims, ChannelClaims]]:
    """Those of two processes."""
    with ExitStack() as stack:
        first, second = (stack.enter_context(open_database(settings)) for _ in range(2))
        yield stack.enter_context(ChannelClaims(first)), stack.enter_context(ChannelClaims(second))


def test_a_claimed_channel_is_nobody_elses(claims: tuple[ChannelClaims, ChannelClaims]) -> None:
    first, second = claims
    assert first.claim("1")
    assert not second.claim("1")
    assert second.claim("2")
    assert not first.claim("2")


def test_a_released_channel_is_free(claims: tuple[ChannelClaims, ChannelClaims]) -> None:
    first, second = claims
    first.claim("1")
    first.release("1")
    assert second.claim("1")


def test_closing_lets_go_of_every_channel(claims: tuple[ChannelClaims, ChannelClaims]) -> None:
    first, second = claims
    first.claim("1")
    first.claim("2")
    first.close()
    assert second.claim("1")
    assert second.claim("2")
    assert first.claim("3"), "it can be used again"


def test_a_lost_connection_lets_go_of_every_channel(
    claims: tuple[ChannelClaims, ChannelClaims], dataset: Dataset
) -> None:
    first, second = claims
    first.claim("1")
    dataset.rows(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_locks WHERE locktype = 'advisory'"
        " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    )
    assert second.claim("1")
    first.release("1")  # what it had is gone already: no error
    assert not first.claim("1")
    assert first.claim("2")


def test_a_claim_on_a_lost_connection_says_so_and_the_next_one_works(
    claims: tuple[ChannelClaims, ChannelClaims], dataset: Dataset
) -> None:
    first, _ = claims
    first.claim("1")
    dataset.rows(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_locks WHERE locktype = 'advisory'"
        " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    )
    with pytest.raises(StoreError):
        first.claim("2")
    assert first.claim("2")


def test_claiming_brings_a_killed_embedded_server_back(embedded_data_dir: Path) -> None:
    def server() -> int:
        return int((embedded_data_dir / "postgres" / "postmaster.pid").read_text().split()[0])

    def claim_until_it_fails() -> None:
        # The killed server's part that serves us may take a moment to notice, and answers until then.
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            ours.claim("1")

    with open_database(Settings(data_dir=embedded_data_dir)) as database, ChannelClaims(database) as ours:
        assert ours.claim("1")
        killed = server()
        os.kill(killed, signal.SIGKILL)
        with pytest.raises(StoreError):
            claim_until_it_fails()
        assert ours.claim("1")
        assert server() != killed
