"""What a collect shows: numbers at any width, nothing that commands a terminal, and no end in disorder."""

import errno
import io
import threading
from datetime import UTC, datetime

import pytest
from rich.console import Console

from twitchcat.cli.collect_display import LiveDisplay, PlainDisplay, Stopping
from twitchcat.cli.console import OutputLost
from twitchcat.dataset.collector import Summary, Totals
from twitchcat.dataset.plan import CategoryState
from twitchcat.dataset.visit import Outcome, VisitOrder, VisitReport
from twitchcat.twitch.entities import Category, Channel, LiveStream

CHESS = Category(id="1", name="Chess and other games of a long name\x1b[2J")


def state() -> CategoryState:
    made = CategoryState(category=CHESS, wanted=40000, kept=12345)
    made.skipped.update({"near identical": 9})
    return made


def shown(width: int) -> str:
    console = Console(file=io.StringIO(), force_terminal=True, width=width, height=24, color_system=None)
    display = LiveDisplay(console)
    with display:
        display.tick([state()], Totals(), 1)
    file = console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue()


@pytest.mark.parametrize("width", [50, 60, 80, 100, 140])
def test_the_numbers_are_there_at_any_width(width: int) -> None:
    text = shown(width)
    assert "12345/40000" in text
    assert "+0" in text
    assert "Per min" in text
    assert "1 visit under way" in " ".join(text.split())


@pytest.mark.parametrize(
    ("width", "bar", "fetched", "skips"),
    [
        pytest.param(60, False, False, False, id="60 columns: numbers alone"),
        pytest.param(80, True, False, False, id="80: the bar"),
        pytest.param(100, True, True, False, id="100: bytes fetched"),
        pytest.param(140, True, True, True, id="140: why frames were left out"),
    ],
)
def test_what_says_least_gives_way_first(width: int, bar: bool, fetched: bool, skips: bool) -> None:
    text = shown(width)
    assert ("\u2501" in text, "Fetched" in text, "near identical" in text) == (bar, fetched, skips)


def report() -> VisitReport:
    at = datetime(2026, 3, 1, tzinfo=UTC)
    channel = Channel(id="7", login="ana", display_name="Ana")
    stream = LiveStream(
        id="9", channel=channel, category=CHESS, title="", tags=(), language="en", viewers=1, started_at=at
    )
    order = VisitOrder(channel=channel, stream=stream, frames=1)
    return VisitReport(order=order, outcome=Outcome.KEPT, frames_kept=1, started_at=at, finished_at=at)


def test_a_category_of_strangers_commands_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    PlainDisplay().visited(report(), Totals())
    told = capsys.readouterr().err
    assert "\x1b" not in told
    assert told.endswith("name\\x1b[2J): kept, 1 frame\n")


class Full(PlainDisplay):
    """A display on a full disk."""

    def visited(self, report: VisitReport, totals: Totals) -> None:
        del report, totals
        raise OutputLost(errno.ENOSPC, "full")


def test_lost_output_ends_a_collect_in_good_order() -> None:
    stop = threading.Event()
    display = Stopping(Full(), stop)
    display.visited(report(), Totals())
    display.visited(report(), Totals())
    assert stop.is_set()
    summary = Summary(why="stopped", seconds=1, totals=Totals(), states=())
    with pytest.raises(OutputLost):
        display.summarise(summary)
