"""Beyond this machine: a token and TLS, made where they are not given, kept where only their owner reads them."""

from __future__ import annotations

import ssl
import stat
import sys
from pathlib import Path

import pytest
from cryptography import x509

from monitor.doctor import Status
from monitor.doctor_sharing import check_webrtc
from monitor.errors import BadInputError
from monitor.sources.webrtc.certificate import self_signed, tls_context
from monitor.sources.webrtc.ingest import WebRtc
from monitor.sources.webrtc.settings import IngestSettings, ingest_settings
from monitor.sources.webrtc.tokens import with_token
from tests.monitor.publishers import Film, Publisher, client_loop, request


def only_the_owner_reads(path: Path) -> bool:
    return sys.platform == "win32" or stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_certificate_is_made_once_and_again_when_it_no_longer_fits(tmp_path: Path) -> None:
    certificate, key = self_signed(tmp_path / "kept", ["localhost", "192.0.2.7"])
    assert only_the_owner_reads(key)
    first = certificate.read_bytes()
    names = x509.load_pem_x509_certificate(first).extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert {str(name.value) for name in names.value} == {"localhost", "192.0.2.7"}
    self_signed(tmp_path / "kept", ["localhost"])
    assert certificate.read_bytes() == first
    self_signed(tmp_path / "kept", ["localhost", "192.0.2.8"])
    assert certificate.read_bytes() != first
    ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(certificate, key)


def test_files_that_do_not_belong_together_are_named(tmp_path: Path) -> None:
    certificate, _ = self_signed(tmp_path / "one", ["a"])
    _, key = self_signed(tmp_path / "two", ["b"])
    with pytest.raises(BadInputError, match=r"one.*two"):
        tls_context(IngestSettings(tls_cert=certificate, tls_key=key), tmp_path)
    with pytest.raises(BadInputError, match="belong together"):
        IngestSettings(tls_cert=certificate)


def test_a_token_is_made_once(tmp_path: Path) -> None:
    exposed = IngestSettings(host="0.0.0.0", folder=tmp_path / "kept")
    made = with_token(exposed).token
    assert made is not None and len(made) >= 32
    assert only_the_owner_reads(tmp_path / "kept" / "token")
    assert with_token(exposed).token == made
    assert with_token(IngestSettings(folder=tmp_path)).token is None, "none on loopback"


def test_others_publish_by_https_with_the_token(tmp_path: Path) -> None:
    settings = IngestSettings(host="0.0.0.0", port=0, folder=tmp_path)
    with WebRtc("webrtc", settings, rate=5.0) as source, client_loop() as loop:
        token = source.settings.token
        assert all(line.startswith("Share") and f"/#token={token}" in line for line in source.notices[:-1])
        assert f"{token}" not in source.state
        base_url = f"https://127.0.0.1:{source.port}"
        assert loop.run(request("GET", base_url + "/config"))[0] == 401
        publisher = Publisher(base_url, "/whip/obs", {"Authorization": f"Bearer {token}"})
        assert loop.run(publisher.publish(Film(90))) == 201
        assert next(source.frames()).stream == "obs"
        loop.run(publisher.vanish())


@pytest.mark.parametrize(
    ("listen", "host", "port", "exposed"),
    [
        ("127.0.0.1:9000", "127.0.0.1", 9000, False),
        ("localhost", "localhost", 8890, False),
        ("[::1]:80", "::1", 80, False),
        ("0.0.0.0:8890", "0.0.0.0", 8890, True),
        ("192.168.1.5", "192.168.1.5", 8890, True),
    ],
)
def test_where_to_listen(listen: str, host: str, port: int, exposed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CLASSROOM_TOKEN", raising=False)
    settings = ingest_settings(listen)
    assert (settings.host, settings.port, settings.exposed, settings.tls) == (host, port, exposed, exposed)


@pytest.mark.parametrize("listen", ["", "a b", "host:port", "1.2.3.4:99999", "http://x"])
def test_what_cannot_be_listened_on(listen: str) -> None:
    with pytest.raises(BadInputError, match="--listen"):
        ingest_settings(listen)


def test_ice_servers_and_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLASSROOM_TURN_USERNAME", "me")
    monkeypatch.setenv("CLASSROOM_TURN_PASSWORD", "secret")
    monkeypatch.setenv("CLASSROOM_TOKEN", "x" * 20)
    settings = ingest_settings(ice_servers=["stun:stun.example:3478", "turn:turn.example?transport=udp"])
    assert [server.username for server in settings.ice_servers] == [None, "me"]
    assert settings.token == "x" * 20
    with pytest.raises(BadInputError, match="stun:HOST"):
        ingest_settings(ice_servers=["https://stun.example"])
    monkeypatch.setenv("CLASSROOM_TOKEN", "short")
    with pytest.raises(BadInputError, match="16"):
        ingest_settings()


def test_the_doctor_explains(tmp_path: Path) -> None:
    with WebRtc("webrtc", IngestSettings(port=0)) as source:
        finding = check_webrtc(IngestSettings(port=source.port, folder=tmp_path))
        assert finding.status is Status.WARN and f"--listen 127.0.0.1:{source.port + 1}" in finding.fix
        port = source.port
    finding = check_webrtc(IngestSettings(port=port, folder=tmp_path))
    assert "https" in finding.found or "no network" in finding.found
