import pytest

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
