"""The settings in force: where they come from, and who can read the secrets among them."""

import stat
from collections.abc import Iterable
from pathlib import Path

from twitchcat.config import LoadedSettings, default_files
from twitchcat.doctor.finding import Finding, failed_by, ok, warning
from twitchcat.errors import ConfigError

_SECRETS = frozenset({"database.url", "twitch.client_secret", "alerts.urls"})


def examine_settings(loaded: LoadedSettings | ConfigError) -> list[Finding]:
    """Say where the settings come from, or why they could not be read. Shows no value."""
    if isinstance(loaded, ConfigError):
        advice = (
            "Correct what it names; `config.example.toml` lists every key."
            " Until then only what needs no settings is examined."
        )
        return [failed_by("settings", loaded, advice)]
    said = _sources(loaded)
    if loaded.file is not None and _readable_by_others(loaded.file):
        held = sorted(key for key, origin in loaded.origins.items() if origin == str(loaded.file))
        secrets = [key for key in held if key in _SECRETS]
        if secrets:
            other = f"{said}; every user of this machine can read {', '.join(secrets)} there"
            return [warning("settings", other, f"chmod 600 {loaded.file}")]
    return [ok("settings", said)]


def _sources(loaded: LoadedSettings) -> str:
    if loaded.file is not None:
        file = f"from {loaded.file}"
    else:
        file = f"no settings file (looked for {_either(default_files())}), so defaults"
    others = sorted({origin for origin in loaded.origins.values() if origin != str(loaded.file)})
    return f"{file}, then {', '.join(others)}" if others else file


def _readable_by_others(file: Path) -> bool:
    try:
        return bool(file.stat().st_mode & stat.S_IROTH)
    except OSError:
        return False


def _either(paths: Iterable[Path]) -> str:
    return " and ".join(str(path) for path in paths)
