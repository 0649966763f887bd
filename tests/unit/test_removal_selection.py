"""What `twitchcat dataset remove` is asked for."""

from datetime import UTC, datetime
from typing import Any

import pytest

from twitchcat.dataset.removal import Selection
from twitchcat.errors import ConfigError

BEFORE = datetime(2026, 11, 20, tzinfo=UTC)


def test_nothing_is_never_a_selection() -> None:
    with pytest.raises(ConfigError, match="--channel, --category, --before or --frame"):
        Selection()


@pytest.mark.parametrize(
    ("conditions", "whole"),
    [
        pytest.param({"channel": "someone"}, True, id="a channel alone: all that is known of it"),
        pytest.param({"channel": "someone", "category": "Chess"}, False, id="of one category: frames only"),
        pytest.param({"channel": "someone", "before": BEFORE}, False, id="before a time: frames only"),
        pytest.param({"channel": "someone", "frames": (1,)}, False, id="some frames: these only"),
        pytest.param({"category": "Chess"}, False, id="a category: frames only"),
    ],
)
def test_only_a_channel_alone_means_the_whole_channel(conditions: dict[str, Any], whole: bool) -> None:
    assert Selection(**conditions).whole_channel is whole
