import pytest

from twitchcat.errors import ConfigError
from twitchcat.twitch.variants import Variant, choose_variant, variant_named

LADDER = ("1080p60", "720p60", "480p30", "360p30", "160p30", "audio_only")


@pytest.mark.parametrize(
    ("names", "wanted", "chosen"),
    [
        pytest.param(LADDER, "360p", "360p30", id="the height itself"),
        pytest.param(LADDER, "400p", "480p30", id="the smallest with at least so many lines"),
        pytest.param(LADDER, "400", "480p30", id="a height without its p"),
        pytest.param(LADDER, "2160p", "1080p60", id="none so tall: the tallest"),
        pytest.param(LADDER, "best", "1080p60", id="best"),
        pytest.param(LADDER, "worst", "160p30", id="worst is a picture, not sound"),
        pytest.param(("1080p60",), "360p", "1080p60", id="source only"),
        pytest.param(("160p30",), "360p", "160p30", id="only smaller ones"),
        pytest.param(("360p60", "360p30"), "360p", "360p30", id="the same height: fewer pictures per second"),
        pytest.param(("160p", "360p", "480p"), "360p", "360p", id="names without a rate"),
        pytest.param(("360p30_portrait", "160p30"), "360p", "160p30", id="landscape before portrait"),
        pytest.param(
            ("1280p30_portrait",), "360p", "1280p30_portrait", id="portrait when there is nothing else"
        ),
        pytest.param(("source", "audio_only"), "360p", "source", id="a name that tells no height"),
        pytest.param(
            ("360p30", "best", "worst", "best-unfiltered"), "best", "360p30", id="synonyms are no names"
        ),
        pytest.param(("audio_only",), "best", None, id="sound only"),
        pytest.param((), "360p", None, id="nothing"),
    ],
)
def test_the_variant_is_chosen_by_height(names: tuple[str, ...], wanted: str, chosen: str | None) -> None:
    variant = choose_variant(names, wanted)
    assert (variant.name if variant else None) == chosen


def test_the_order_of_the_names_does_not_matter() -> None:
    assert choose_variant(LADDER, "360p") == choose_variant(reversed(LADDER), "360p")


def test_a_name_tells_height_and_rate() -> None:
    assert variant_named("720p60") == Variant(name="720p60", height=720, fps=60)
    assert variant_named("852p30_portrait") == Variant(name="852p30_portrait", height=852, fps=30)
    assert variant_named("480p") == Variant(name="480p", height=480, fps=None)
    assert variant_named("source") == Variant(name="source", height=None, fps=None)


def test_an_unknown_wish_is_a_configuration_error() -> None:
    with pytest.raises(ConfigError, match=r"capture\.variant: 'sharp'"):
        choose_variant(LADDER, "sharp")
