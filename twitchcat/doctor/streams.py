"""streamlink's Twitch plugin: whether it has the parts that `twitchcat.twitch` takes from it."""

import inspect
from importlib.metadata import version

from streamlink import Streamlink
from streamlink.exceptions import NoPluginError
from streamlink.plugins import twitch

from twitchcat.doctor.finding import Finding, failure, ok, warning
from twitchcat.errors import TwitchError

_UPDATE = (
    "Run `pip install --upgrade streamlink`; if that does not help, take the version of constraints.txt."
)


def examine_plugin() -> list[Finding]:
    """Resolve a Twitch address and look at the plugin's parts. Nothing is asked of Twitch."""
    streamlink = Streamlink({"webbrowser": False})
    try:
        name, plugin_class, url = streamlink.resolve_url("https://www.twitch.tv/twitch")
    except NoPluginError:
        return [_unusable("it has no plugin for Twitch")]
    if name != "twitch":
        return [_unusable(f"its plugin {name} takes Twitch's addresses")]
    plugin = plugin_class(streamlink, url)
    return [plugin_finding(version("streamlink"), needed=missing(twitch), quick=unlike(plugin, twitch))]


def plugin_finding(installed: str, *, needed: list[str], quick: list[str]) -> Finding:
    """Judge by what is missing: of what nothing works without, and of what makes opening quick."""
    if needed:
        return _unusable(f"{installed}, its Twitch plugin lacks {', '.join(needed)}")
    if quick:
        said = f"{installed}, its Twitch plugin has another {', '.join(quick)}: opening takes more requests"
        return warning("streamlink", said, "Update twitchcat, which is made for an earlier streamlink.")
    return ok("streamlink", f"{installed}, its Twitch plugin has all that is needed")


def missing(module: object) -> list[str]:
    """Names of what reading playlists stands on and the plugin's module does not have."""
    stream, playlist, segment = (
        getattr(module, name, None) for name in ("TwitchHLSStream", "TwitchM3U8", "TwitchHLSSegment")
    )
    fields = getattr(segment, "__dataclass_fields__", {})
    parts = {
        "TwitchHLSStream.__parser__": getattr(stream, "__parser__", None),
        "TwitchM3U8.is_date_in_daterange": getattr(playlist, "is_date_in_daterange", None),
        **{f"TwitchHLSSegment.{name}": fields.get(name) for name in ("ad", "prefetch", "date", "num", "map")},
    }
    return [name for name, part in parts.items() if part is None]


def unlike(plugin: object, module: object) -> list[str]:
    """Names of what resolving in two requests stands on and cannot be called as it is there."""
    stream = getattr(module, "TwitchHLSStream", None)
    access_token = getattr(plugin, "_access_token", None)
    channel = getattr(getattr(plugin, "usher", None), "channel", None)
    variants = getattr(stream, "parse_variant_playlist", None)
    taken = {
        "_access_token": _takes(access_token, True, "login"),
        "usher.channel": _takes(channel, "login", sig="", token="", fast_bread=True),
        "parse_variant_playlist": _takes(variants, None, "address"),
    }
    return [name for name, fits in taken.items() if not fits]


def _takes(part: object, *args: object, **kwargs: object) -> bool:
    if not callable(part):
        return False
    try:
        inspect.signature(part).bind(*args, **kwargs)
    except (TypeError, ValueError):
        return False
    return True


def _unusable(said: str) -> Finding:
    return failure("streamlink", said, _UPDATE, TwitchError())
