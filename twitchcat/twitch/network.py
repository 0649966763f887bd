"""What both clients, httpx for Helix and requests for the streams, take from the environment."""

import ipaddress
import os
import ssl
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from twitchcat.errors import ConfigError

_BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")


def ca_bundle(environ: Mapping[str, str] | None = None) -> str | None:
    """Return the file or folder of certificates that the environment names; None: the client's own.

    requests reads the first two variables by itself and httpx only the last: here they mean the same to both.
    """
    env = os.environ if environ is None else environ
    return next((env[name] for name in _BUNDLES if env.get(name)), None)


def tls_context() -> ssl.SSLContext | None:
    """Return a context that trusts the certificates that the environment names; None: the client's own.

    Raises ConfigError if they cannot be read.
    """
    bundle = ca_bundle()
    if bundle is None:
        return None
    folder = Path(bundle).is_dir()
    try:
        return ssl.create_default_context(
            capath=bundle if folder else None, cafile=None if folder else bundle
        )
    except (OSError, ValueError) as error:  # SSLError is one of the former
        name = next(name for name in _BUNDLES if os.environ.get(name))
        why = "it is not there" if isinstance(error, FileNotFoundError) else str(error)
        raise ConfigError(f"{name} names {bundle}, which cannot be used as certificates: {why}") from error


def is_loopback(url: str) -> bool:
    """Whether the address is this machine's own, which no proxy can reach."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
