import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import SecretStr

from twitchcat.config import Settings, TwitchSettings
from twitchcat.errors import ConfigError
from twitchcat.twitch.helix import HelixClient
from twitchcat.twitch.live import LiveStreams
from twitchcat.twitch.network import ca_bundle, is_loopback


@pytest.mark.parametrize(
    ("environ", "bundle"),
    [
        ({}, None),
        ({"SSL_CERT_FILE": "/a.pem"}, "/a.pem"),
        ({"REQUESTS_CA_BUNDLE": "/b.pem", "SSL_CERT_FILE": "/a.pem"}, "/b.pem"),
        ({"REQUESTS_CA_BUNDLE": "", "CURL_CA_BUNDLE": "/c.pem"}, "/c.pem"),
    ],
    ids=["none", "OpenSSL's", "requests' first", "empty is none"],
)
def test_the_environment_names_one_bundle_for_both_clients(
    environ: dict[str, str], bundle: str | None
) -> None:
    assert ca_bundle(environ) == bundle


@pytest.mark.parametrize(
    ("url", "loopback"),
    [
        ("http://127.0.0.1:8080/helix", True),
        ("http://[::1]:8080", True),
        ("http://localhost/x", True),
        ("https://api.twitch.tv/helix", False),
        ("https://10.0.0.1", False),
        ("nonsense", False),
    ],
)
def test_this_machine_is_told_from_others(url: str, loopback: bool) -> None:
    assert is_loopback(url) is loopback


STATION = "http://127.0.0.1:9"


def helix(*, url: str = "https://api.twitch.tv/helix") -> None:
    HelixClient(
        TwitchSettings(client_id="x", client_secret=SecretStr("y"), helix_url=url, auth_url=url)
    ).close()


def streams() -> None:
    LiveStreams(Settings()).close_all()


@pytest.fixture
def no_certificates(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


@pytest.mark.parametrize("client", [helix, streams])
@pytest.mark.parametrize("content", [None, "no certificates"], ids=["not there", "something else"])
def test_certificates_that_cannot_be_used_are_named_with_their_variable(
    client: Callable[[], None], content: str | None, no_certificates: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    bundle = tmp_path / "bundle.pem"
    if content is not None:
        bundle.write_text(content)
    no_certificates.setenv("REQUESTS_CA_BUNDLE", str(bundle))
    with pytest.raises(ConfigError, match=f"REQUESTS_CA_BUNDLE names {bundle}"):
        client()


@pytest.mark.parametrize("proxy", ["socks9://127.0.0.1:1", "http://127.0.0.1:none"])
def test_a_proxy_that_cannot_be_used_is_a_mistake_in_the_environment(
    proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, proxy)
    with pytest.raises(ConfigError, match="HTTPS_PROXY"):
        helix()


def test_a_proxy_whose_package_is_not_there_is_one_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "socksio", None)
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, "socks5://127.0.0.1:1")
    with pytest.raises(ConfigError, match=r"HTTPS_PROXY.*socks"):
        helix()


def test_a_station_needs_neither(no_certificates: pytest.MonkeyPatch) -> None:
    no_certificates.setenv("HTTPS_PROXY", "socks9://127.0.0.1:1")
    no_certificates.setenv("https_proxy", "socks9://127.0.0.1:1")
    no_certificates.setenv("REQUESTS_CA_BUNDLE", "/nonexistent.pem")
    helix(url=STATION)
    LiveStreams(Settings(twitch=TwitchSettings(rewrite=STATION))).close_all()


@pytest.mark.parametrize("host", ["1.2.3.999", "a..b"])
def test_an_address_that_only_the_client_finds_wrong_is_a_mistake_in_the_settings(host: str) -> None:
    settings = TwitchSettings(client_id="x", client_secret=SecretStr("y"), auth_url=f"http://{host}")
    with HelixClient(settings) as client, pytest.raises(ConfigError, match=f"http://{host}/token cannot be"):
        client.top_categories(1)
