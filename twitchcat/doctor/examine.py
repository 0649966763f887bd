"""The whole examination: which checks there are, and what each needs."""

from collections.abc import Callable, Collection
from functools import partial

from twitchcat.config import LoadedSettings, Settings, TwitchSettings
from twitchcat.doctor.configuration import examine_settings
from twitchcat.doctor.finding import Area, Finding
from twitchcat.doctor.runner import Check, run_checks
from twitchcat.errors import ConfigError

_SERVER_S = 90.0  #: an embedded server that recovers from a crash may take its minute
_RUNTIME_S = 70.0


def examine(
    loaded: LoadedSettings | ConfigError,
    *,
    areas: Collection[Area] = frozenset(Area),
    finished: Callable[[int, int], None] = lambda _done, _of: None,
) -> list[Finding]:
    """Examine the areas, all at once, and return what was found, in a fixed order.

    Without usable settings only what needs none is examined, and the settings are a failure whatever the
    areas. `finished` is told how many of how many checks are done.
    """
    checks = [check for area, check in _checks_without_settings() if area in areas]
    broken = isinstance(loaded, ConfigError)
    if not isinstance(loaded, ConfigError):
        checks += [check for area, check in _checks_of(loaded.settings) if area in areas]
    first = examine_settings(loaded) if broken or Area.SETTINGS in areas else []
    return [*first, *run_checks(checks, finished=finished)]


def _checks_without_settings() -> list[tuple[Area, Check]]:
    # Imported by the checks: what one of them lacks is not to stop the others.
    return [
        (Area.SOFTWARE, Check(name="software", run=_software)),
        (Area.SOFTWARE, Check(name="decoding", run=_decoding)),
        (Area.MODEL, Check(name="onnxruntime", run=_runtime, limit_s=_RUNTIME_S)),
        (Area.STREAMS, Check(name="streamlink", run=_plugin)),
    ]


def _checks_of(settings: Settings) -> list[tuple[Area, Check]]:
    return [
        (Area.STORAGE, Check(name="data directory", run=partial(_storage, settings))),
        (Area.DATABASE, Check(name="database", run=partial(_database, settings), limit_s=_SERVER_S)),
        (Area.TWITCH, Check(name="helix", run=partial(_helix, settings.twitch))),
        (Area.TWITCH, Check(name="credentials", run=partial(_credentials, settings.twitch), limit_s=30)),
        (Area.STREAMS, Check(name="station", run=partial(_station, settings.twitch))),
    ]


def _software() -> list[Finding]:
    from twitchcat.doctor.software import examine_software

    return examine_software()


def _decoding() -> list[Finding]:
    from twitchcat.doctor.decoding import examine_decoding

    return examine_decoding()


def _runtime() -> list[Finding]:
    from twitchcat.doctor.runtime import examine_runtime

    return examine_runtime()


def _plugin() -> list[Finding]:
    from twitchcat.doctor.streams import examine_plugin

    return examine_plugin()


def _storage(settings: Settings) -> list[Finding]:
    from twitchcat.doctor.storage import examine_storage

    return examine_storage(settings.data_dir)


def _database(settings: Settings) -> list[Finding]:
    from twitchcat.doctor.database import examine_database

    return examine_database(settings)


def _helix(settings: TwitchSettings) -> list[Finding]:
    from twitchcat.doctor.twitch import examine_helix, helix_client

    with helix_client(settings) as client:
        return examine_helix(settings, client=client)


def _credentials(settings: TwitchSettings) -> list[Finding]:
    from twitchcat.doctor.twitch import examine_credentials

    return examine_credentials(settings)


def _station(settings: TwitchSettings) -> list[Finding]:
    from twitchcat.doctor.twitch import examine_station, station_client

    with station_client(settings) as client:
        return examine_station(settings, client=client)
