"""What both clients, httpx for Helix and requests for the streams, take from the environment."""

import ipaddress
import os
import ssl
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit


def ca_bundle(environ: Mapping[str, str] | None = None) -> str | None:
    """Return the file or folder of certificates that the environment names; None: the client's own.

    requests reads the first two variables by itself and httpx only the last: here they mean the same to both.
    """
    env = os.environ if environ is None else environ
    names = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
    return next((env[name] for name in names if env.get(name)), None)


def tls_context(bundle: str) -> ssl.SSLContext:
    """Return a context that trusts the certificates in the file or folder `bundle`."""
    folder = Path(bundle).is_dir()
    return ssl.create_default_context(capath=bundle if folder else None, cafile=None if folder else bundle)


def is_loopback(url: str) -> bool:
    """Whether the address is this machine's own, which no proxy can reach."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
