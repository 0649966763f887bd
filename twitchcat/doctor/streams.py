"""streamlink's Twitch plugin: whether it has the parts that `twitchcat.twitch` takes from it."""

import inspect
from importlib.metadata import version

from twitchcat.doctor.finding import Finding, failure, ok, warning
from twitchcat.errors import TwitchError

_UPDATE = (
    "Run `pip install --upgrade streamlink`; if that does not help, take the version of constraints.txt."
)


def examine_plugin() -> list[Finding]:
    """Resolve a Twitch address and look at the plugin's parts. Nothing is asked of Twitch."""
    from streamlink import Streamlink  # noqa: PLC0415 - without streamlink this check fails alone
    from streamlink.exceptions import NoPluginError  # noqa: PLC0415

    streamlink = Streamlink({"webbrowser": False})
    try:
        name, plugin_class, url = streamlink.resolve_url("https://www.twitch.tv/twitch")
    except NoPluginError:
        return [_unusable("it has no plugin for Twitch")]
    if name != "twitch":
        return [_unusable(f"its plugin {name} takes Twitch's addresses")]
    return [
        plugin_finding(version("streamlink"), needed=_needed(), quick=_quick(plugin_class(streamlink, url)))
    ]


def plugin_finding(installed: str, *, needed: list[str], quick: list[str]) -> Finding:
    """Judge by what is missing: of what nothing works without, and of what makes opening quick."""
    if needed:
        return _unusable(f"{installed}, its plugin lacks {', '.join(needed)}")
    if quick:
        said = f"{installed}, its plugin lacks {', '.join(quick)}: opening a stream takes more requests"
        return warning("streamlink", said, "Update twitchcat, which is made for an earlier streamlink.")
    return ok("streamlink", f"{installed}, its Twitch plugin has all that is needed")


def _needed() -> list[str]:
    from streamlink.plugins import twitch  # noqa: PLC0415

    parts = {
        "TwitchHLSStream": getattr(twitch, "TwitchHLSStream", None),
        "TwitchM3U8": getattr(twitch, "TwitchM3U8", None),
        "TwitchHLSSegment": getattr(twitch, "TwitchHLSSegment", None),
    }
    parts["TwitchHLSStream.__parser__"] = getattr(parts["TwitchHLSStream"], "__parser__", None)
    parts["TwitchM3U8.is_date_in_daterange"] = getattr(parts["TwitchM3U8"], "is_date_in_daterange", None)
    segment = getattr(parts["TwitchHLSSegment"], "__dataclass_fields__", {})
    parts |= {
        f"TwitchHLSSegment.{name}": segment.get(name) for name in ("ad", "prefetch", "date", "num", "map")
    }
    return [name for name, part in parts.items() if part is None]


def _quick(plugin: object) -> list[str]:
    from streamlink.plugins.twitch import TwitchHLSStream  # noqa: PLC0415

    usher = getattr(plugin, "usher", None)
    parts = {
        "_access_token": (getattr(plugin, "_access_token", None), (True, "twitch"), {}),
        "usher.channel": (
            getattr(usher, "channel", None),
            ("twitch",),
            {"sig": "", "token": "", "fast_bread": True},
        ),
        "parse_variant_playlist": (getattr(TwitchHLSStream, "parse_variant_playlist", None), (None, ""), {}),
    }
    return [name for name, (part, args, kwargs) in parts.items() if not _takes(part, args, kwargs)]


def _takes(part: object, args: tuple[object, ...], kwargs: dict[str, object]) -> bool:
    """Whether it could be called like this."""
    if not callable(part):
        return False
    try:
        inspect.signature(part).bind(*args, **kwargs)
    except (TypeError, ValueError):
        return False
    return True


def _unusable(said: str) -> Finding:
    return failure("streamlink", said, _UPDATE, TwitchError())
