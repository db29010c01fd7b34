"""What the endpoint answers, as RFC 9725 has it; doors, tokens, bounds; what fuzzed requests do to a publisher."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Iterator

import aiohttp
import pytest
from aiortc import RTCConfiguration, RTCPeerConnection

from monitor.sources.webrtc.access import FAILURES_ALLOWED, FORGIVEN_AFTER_S, FailureLimit
from monitor.sources.webrtc.ingest import WebRtc
from monitor.sources.webrtc.settings import IngestSettings
from tests.monitor.publishers import Film, Loop, Publisher, client_loop, request

TOKEN = "a-token-of-enough-characters"
SDP = {"Content-Type": "application/sdp"}
FRAGMENT = {"Content-Type": "application/trickle-ice-sdpfrag"}
Wish = tuple[str, str, dict[str, str], bytes]
BEARER = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture(scope="module")
def loop() -> Iterator[Loop]:
    with client_loop() as running:
        yield running


@pytest.fixture(scope="module")
def open_source() -> Iterator[WebRtc]:
    with WebRtc("webrtc", IngestSettings(port=0), rate=5.0) as opened:
        yield opened


@pytest.fixture
def guarded() -> Iterator[WebRtc]:
    with WebRtc("webrtc", IngestSettings(port=0, token=TOKEN), rate=5.0) as opened:
        yield opened


def url(source: WebRtc) -> str:
    return f"http://127.0.0.1:{source.port}"


@pytest.fixture(scope="module")
def offer(loop: Loop) -> str:
    async def make() -> str:
        connection = RTCPeerConnection(RTCConfiguration([]))
        connection.addTransceiver(Film(1), direction="sendonly")
        await connection.setLocalDescription(await connection.createOffer())
        text = connection.localDescription.sdp
        await connection.close()
        return text

    return loop.run(make())


def test_a_publisher_is_answered_and_can_leave(open_source: WebRtc, loop: Loop) -> None:
    publisher = Publisher(url(open_source), "/whip/one")
    assert loop.run(publisher.publish(Film(100))) == 201
    answered = publisher.answered
    assert answered["Content-Type"].startswith("application/sdp")
    assert answered["Location"].startswith("/session/")
    assert answered["ETag"].startswith('"'), "strong"
    session = url(open_source) + publisher.session
    status, _, body = loop.run(request("GET", session + "/status"))
    assert status == 200 and b'"stream": "one"' in body
    assert loop.run(publisher.leave()) == 200
    assert loop.run(request("DELETE", session))[0] == 404


def named(source: WebRtc, name: str, secret: str) -> Publisher:
    return Publisher(url(source), f"/whip/{name}", {"Classroom-Ticket": secret * 16})


def wait_until(true: Callable[[], bool], within_s: float = 60.0) -> None:
    until_s = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < until_s
        time.sleep(0.02)


def test_a_name_is_free_though_the_connection_closed_before_the_delete_came(open_source: WebRtc, loop: Loop) -> None:
    first, next_ = named(open_source, "lecture", "a"), named(open_source, "lecture", "b")
    assert loop.run(first.publish(Film(100))) == 201
    stream = next(stream for stream in open_source._streams.all() if stream.stream_id == "lecture")
    wait_until(lambda: stream.received > 0)
    loop.run(first.vanish())
    wait_until(lambda: stream.session_id is None)
    assert loop.run(next_.publish(Film(100))) == 409, "who did not say goodbye may come back"
    assert loop.run(first.leave()) == 200
    assert loop.run(next_.publish(Film(100))) == 201
    assert loop.run(first.leave()) == 404
    assert loop.run(next_.leave()) == 200


def test_a_late_goodbye_of_a_replaced_connection_takes_nothing_away(open_source: WebRtc, loop: Loop) -> None:
    first, again = named(open_source, "seminar", "a"), named(open_source, "seminar", "a")
    assert loop.run(first.publish(Film(100))) == 201
    assert loop.run(again.publish(Film(100))) == 201
    assert loop.run(first.leave()) == 410
    assert loop.run(named(open_source, "seminar", "b").publish(Film(100))) == 409
    assert loop.run(again.leave()) == 200


def test_trickled_candidates_need_the_etag_and_a_restart_is_refused(open_source: WebRtc, loop: Loop) -> None:
    publisher = Publisher(url(open_source), "/whip/two")
    assert loop.run(publisher.publish(Film(100))) == 201
    session, etag = url(open_source) + publisher.session, publisher.answered["ETag"]
    assert publisher.connection is not None
    lines = publisher.connection.localDescription.sdp.splitlines()
    ufrag = next(line for line in lines if line.startswith("a=ice-ufrag:"))
    candidate = next(line for line in lines if line.startswith("a=candidate:"))
    body = f"{ufrag}\r\na=mid:0\r\n{candidate}\r\na=end-of-candidates\r\n".encode()

    def patch(headers: dict[str, str], body: bytes = body) -> int:
        return loop.run(request("PATCH", session, headers, body))[0]

    assert patch(FRAGMENT) == 428
    assert patch(FRAGMENT | {"If-Match": '"another"'}) == 412
    assert patch(SDP | {"If-Match": etag}) == 415
    assert patch(FRAGMENT | {"If-Match": etag}, b"nothing") == 400
    assert patch(FRAGMENT | {"If-Match": "*"}, b"a=ice-ufrag:new1\r\na=ice-pwd:0123456789abcdef012345\r\n") == 422
    assert patch(FRAGMENT | {"If-Match": etag}) == 204
    assert loop.run(publisher.leave()) == 200


def test_methods_and_types(open_source: WebRtc, loop: Loop, offer: str) -> None:
    endpoint = url(open_source) + "/whip"
    status, headers, _ = loop.run(request("OPTIONS", endpoint))
    assert (status, headers["Accept-Post"]) == (204, "application/sdp")
    for method in ("GET", "HEAD", "PUT"):
        assert loop.run(request(method, endpoint))[0] == 405
    assert loop.run(request("POST", endpoint, {"Content-Type": "text/plain"}, offer.encode()))[0] == 415
    assert loop.run(request("POST", endpoint, SDP, b"v=0\r\n"))[0] == 400
    assert loop.run(request("POST", endpoint, SDP, offer.replace("sendonly", "recvonly").encode()))[0] == 422
    assert loop.run(request("POST", endpoint, SDP, b"x" * 70_000))[0] == 413
    assert loop.run(request("POST", endpoint + "/Not A Name", SDP, offer.encode()))[0] == 400


@pytest.mark.parametrize(
    "path", ["/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/capture.html", "/assets", "//etc"]
)
def test_no_path_reaches_a_file(open_source: WebRtc, loop: Loop, path: str) -> None:
    assert loop.run(request("GET", url(open_source) + path))[0] == 404


def test_the_page_keeps_to_itself(open_source: WebRtc, loop: Loop) -> None:
    status, headers, body = loop.run(request("GET", url(open_source) + "/"))
    assert status == 200 and b"http" not in body.replace(b"http://www.w3.org", b"")
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"


def test_other_pages_and_rebound_names_are_turned_away(open_source: WebRtc, loop: Loop, offer: str) -> None:
    endpoint = url(open_source) + "/whip"
    foreign = SDP | {"Origin": "https://evil.example"}
    status, headers, _ = loop.run(request("POST", endpoint, foreign, offer.encode()))
    assert status == 403 and "Access-Control-Allow-Origin" not in headers
    assert loop.run(request("GET", url(open_source) + "/config", {"Host": "evil.example"}))[0] == 421
    local = {"Origin": "http://localhost:3000", "Access-Control-Request-Method": "POST"}
    status, headers, _ = loop.run(request("OPTIONS", endpoint, local))
    assert (status, headers["Access-Control-Allow-Origin"]) == (204, "http://localhost:3000")
    assert "Authorization" in headers["Access-Control-Allow-Headers"]


def test_with_a_token_pages_of_any_origin_may_publish(guarded: WebRtc, loop: Loop) -> None:
    page = {"Origin": "https://school.example"}
    publisher = Publisher(url(guarded), "/whip/obs", page | BEARER)
    assert loop.run(publisher.publish(Film(100))) == 201
    assert publisher.answered["Access-Control-Allow-Origin"] == "https://school.example"
    assert "Location" in publisher.answered["Access-Control-Expose-Headers"]
    assert loop.run(publisher.leave()) == 200


def test_wrong_tokens_are_refused_and_then_not_heard(guarded: WebRtc, loop: Loop, offer: str) -> None:
    endpoint = url(guarded) + "/whip"
    status, headers, _ = loop.run(request("POST", endpoint, SDP, offer.encode()))
    assert (status, headers["WWW-Authenticate"].split()[0]) == (401, "Bearer")
    assert loop.run(request("GET", url(guarded) + "/"))[0] == 200, "the page itself holds no secret"
    assert loop.run(request("GET", url(guarded) + "/config"))[0] == 401
    wrong = SDP | {"Authorization": "Bearer " + TOKEN[:-1]}
    for _ in range(FAILURES_ALLOWED):
        assert loop.run(request("POST", endpoint, wrong, offer.encode()))[0] == 401
    status, headers, _ = loop.run(request("POST", endpoint, SDP | BEARER, offer.encode()))
    assert status == 429 and 0 < int(headers["Retry-After"]) <= FORGIVEN_AFTER_S


def test_failures_are_forgiven_and_bounded() -> None:
    now = [0.0]
    limit = FailureLimit(lambda: now[0])
    for _ in range(FAILURES_ALLOWED):
        assert limit.wait_s("a") == 0
        limit.failed("a")
    assert limit.wait_s("a") == FORGIVEN_AFTER_S
    assert limit.wait_s("b") == 0
    now[0] += FORGIVEN_AFTER_S + 1
    assert limit.wait_s("a") == 0
    for number in range(5000):
        limit.failed(str(number))
    assert len(limit._failures) <= 1024


def fuzzed(random_: random.Random, offer: str) -> Wish:
    """A request that must be turned away."""
    path = random_.choice(
        ["/whip", "/whip/x", "/whip/" + "y" * 200, "/session/none", "/session/none/status", "/nothing"]
    )
    method = random_.choice(["POST", "PATCH", "DELETE", "PUT", "POST", "POST", "BREW"])
    headers = random_.choice([{}, SDP, SDP, SDP, FRAGMENT, {"Content-Type": "é"}, SDP | {"If-Match": "*"}])
    text = bytearray(offer.encode())
    kind = random_.randrange(6)
    if kind == 0:
        text = bytearray(random_.randbytes(random_.randrange(3000)))
    elif kind == 1:
        text = text[: random_.randrange(200)]
    elif kind == 2:
        lines = [line for line in offer.splitlines() if not line.startswith(random_.choice(["m=", "a=fingerprint"]))]
        text = bytearray("\r\n".join(lines[: random_.randrange(len(lines))]).encode())
    elif kind == 3:
        text = bytearray(offer.replace("sendonly", random_.choice(["recvonly", "inactive"])).encode())
    elif kind == 4:
        text = bytearray(offer.replace("m=video", "m=" + random_.choice(["text", "", "video video", "\x00"])).encode())
    else:
        headers = dict(headers) | {"Classroom-Ticket": random_.choice(["", "short", "x" * 500, "a b" * 10])}
    return method, path, headers, bytes(text)


async def statuses(base_url: str, wishes: list[Wish]) -> list[int]:
    """What each request is answered, ten at a time."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=10)) as client:

        async def ask(wish: Wish) -> int:
            method, path, headers, body = wish
            async with client.request(method, base_url + path, headers=headers, data=body) as answer:
                return answer.status

        return list(await asyncio.gather(*map(ask, wishes)))


def test_a_thousand_fuzzed_requests_disturb_nobody(open_source: WebRtc, loop: Loop, offer: str) -> None:
    publisher = Publisher(url(open_source), "/whip/steady")
    assert loop.run(publisher.publish(Film(100))) == 201
    session = url(open_source) + publisher.session
    random_ = random.Random(5)
    wishes = [fuzzed(random_, offer) for _ in range(1000)]
    for wish, status in zip(wishes, loop.run(statuses(url(open_source), wishes), 200.0), strict=True):
        assert 400 <= status < 500, (status, wish)
    status, _, body = loop.run(request("GET", session + "/status"))
    assert status == 200 and b'"state": "connected"' in body
    assert float(body.split(b'"picture_age_s": ')[1].split(b",")[0]) < 1.0, "pictures still come"
    assert loop.run(publisher.leave()) == 200
