"""twitchcat says what a live Twitch channel is really showing."""


def __getattr__(name: str) -> str:
    if name == "__version__":  # looking it up takes a while, and few ask
        from importlib.metadata import version  # noqa: PLC0415 - likewise

        return version("twitchcat")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
