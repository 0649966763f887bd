"""What a channel declares before and after a visit decides whether its frames can be trusted."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from twitchcat.dataset.visit import Outcome, Take, VisitOrder, VisitReport, declared_change
from twitchcat.twitch.entities import Category, Channel, LiveStream

AT = datetime(2026, 11, 20, tzinfo=UTC)
CHANNEL = Channel(id="1", login="someone", display_name="Someone")
CHESS = Category(id="10", name="Chess")
DOOM = Category(id="20", name="Doom")
BEFORE = LiveStream(
    id="100",
    channel=CHANNEL,
    category=CHESS,
    title="",
    tags=(),
    language="en",
    viewers=1,
    started_at=AT,
)


@pytest.mark.parametrize(
    ("after", "change"),
    [
        pytest.param(BEFORE, None, id="the same: trusted"),
        pytest.param(replace(BEFORE, title="other", viewers=9), None, id="another title: trusted"),
        pytest.param(
            replace(BEFORE, category=DOOM), (Outcome.CHANGED, "now Doom"), id="another category: changed"
        ),
        pytest.param(
            replace(BEFORE, category=None), (Outcome.CHANGED, "now no category"), id="none now: changed"
        ),
        pytest.param(
            replace(BEFORE, id="101"), (Outcome.CHANGED, "another broadcast"), id="went live anew: changed"
        ),
        pytest.param(None, (Outcome.OFFLINE, "ended during the visit"), id="ended: offline"),
    ],
)
def test_declared_change(after: LiveStream | None, change: tuple[Outcome, str] | None) -> None:
    assert declared_change(BEFORE, after) == change


def test_a_category_declared_only_after_the_visit_is_a_change() -> None:
    undeclared = replace(BEFORE, category=None)
    assert declared_change(undeclared, BEFORE) == (Outcome.CHANGED, "now Chess")
    assert declared_change(undeclared, undeclared) is None


def test_a_report_names_the_category_declared_before() -> None:
    report = VisitReport(
        order=VisitOrder(channel=CHANNEL, stream=BEFORE, frames=6),
        outcome=Outcome.KEPT,
        started_at=AT,
        finished_at=AT + timedelta(seconds=1.5),
    )
    assert report.category == CHESS
    assert report.seconds == 1.5
    offline = replace(report, order=VisitOrder(channel=CHANNEL, stream=None, frames=6))
    assert offline.category is None


def test_what_is_skipped_is_counted_by_reason_and_nothing_is_no_reason() -> None:
    take = Take()
    take.skip("ad", 3)
    take.skip("ad")
    take.skip("blank", 0)
    assert take.skipped == {"ad": 4}
