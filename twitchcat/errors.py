"""Every error that twitchcat raises on purpose.

TwitchcatError
├── ConfigError             a setting or an argument is wrong
├── ChannelOffline          offline
│   └── NoSuchChannel       no such channel
├── StreamUnreadable        live, but no picture could be read
│   ├── AdsOnly             ads only
│   ├── Geoblocked          geoblocked
│   ├── SubscriberOnly      subscriber only
│   ├── SegmentUnreadable   one segment gave no picture; the next may
│   └── FileUnreadable      a local file gave no picture
├── ModelError              the model is missing or refused
├── StoreError              the database or the image store could not be used
│   ├── RevisionMismatch    the database stands at another revision
│   ├── QueryError          a query of the user was refused by Postgres
│   └── DiskFull            there is no space left for images
└── TwitchError             Twitch refused or could not be reached
    ├── CredentialsRefused  client id or secret are wrong
    ├── RateLimited         too many requests
    ├── IntegrityFailed     integrity
    └── NetworkError        network
        └── Interrupted     the program stops, and waited for Twitch no longer

Only `twitchcat.cli` turns these into exit codes.
"""

from typing import ClassVar


class TwitchcatError(Exception):
    """twitchcat could not finish what was asked."""

    #: The failure's name in tables, JSON and messages.
    reason: ClassVar[str] = "error"

    def __init__(self, message: str = "") -> None:
        super().__init__(message or type(self).__doc__)


class ConfigError(TwitchcatError):
    """A setting or an argument is wrong."""

    reason = "configuration"


class ChannelOffline(TwitchcatError):
    """The channel is not live."""

    reason = "offline"


class NoSuchChannel(ChannelOffline):
    """There is no channel of this name."""

    reason = "no such channel"


class StreamUnreadable(TwitchcatError):
    """The stream is live but no picture could be read."""

    reason = "unreadable"


class AdsOnly(StreamUnreadable):
    """The stream shows nothing but ads at the moment."""

    reason = "ads only"


class Geoblocked(StreamUnreadable):
    """The stream is not shown in this region."""

    reason = "geoblocked"


class SubscriberOnly(StreamUnreadable):
    """The stream is shown to subscribers only."""

    reason = "subscriber only"


class SegmentUnreadable(StreamUnreadable):
    """A segment gave no picture: broken, truncated, expired or not a video."""

    reason = "segment unreadable"


class FileUnreadable(StreamUnreadable):
    """A file gave no picture: missing, broken, or neither video nor image."""

    reason = "file unreadable"


class ModelError(TwitchcatError):
    """The model is missing or refused."""

    reason = "model"


class StoreError(TwitchcatError):
    """The database or the image store could not be used."""

    reason = "store"


class RevisionMismatch(StoreError):
    """The database stands at another revision than this twitchcat."""

    reason = "revision"


class QueryError(StoreError):
    """Postgres refused the query."""

    reason = "query"


class DiskFull(StoreError):
    """There is no space left for images."""

    reason = "disk full"


class TwitchError(TwitchcatError):
    """Twitch refused or could not be reached."""

    reason = "twitch"


class CredentialsRefused(TwitchError):
    """Twitch refused the client id or the client secret."""

    reason = "credentials"


class RateLimited(TwitchError):
    """Twitch asked for fewer requests."""

    reason = "rate limit"


class IntegrityFailed(TwitchError):
    """Twitch asked for an integrity token, which a server cannot give."""

    reason = "integrity"


class NetworkError(TwitchError):
    """Twitch could not be reached."""

    reason = "network"


class Interrupted(NetworkError):
    """The program stops, so Twitch was not waited for."""

    reason = "stopped"
