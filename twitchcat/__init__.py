"""twitchcat says what a live Twitch channel is really showing."""

from importlib.metadata import version

__version__ = version("twitchcat")
