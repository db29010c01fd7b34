"""Pictures over WebRTC: both ends are real, on this machine, with a film made here."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator

import pytest
from aiortc.mediastreams import AudioStreamTrack

from monitor.errors import BusyError
from monitor.schema import Frame
from monitor.sources.webrtc.ingest import WebRtc
from monitor.sources.webrtc.settings import IngestSettings
from tests.monitor.publishers import Film, Loop, Publisher, client_loop

RATE = 5.0
TICKET = "0123456789abcdefghij"


@pytest.fixture
def loop() -> Iterator[Loop]:
    with client_loop() as running:
        yield running


@pytest.fixture
def source() -> Iterator[WebRtc]:
    with WebRtc("webrtc", IngestSettings(port=0), rate=RATE) as opened:
        yield opened


def url(source: WebRtc) -> str:
    return f"http://127.0.0.1:{source.port}"


def grey(frame: Frame) -> int:
    return round(float(frame.image_bgr.mean()))


def test_two_publishers_share_each_sample(source: WebRtc, loop: Loop) -> None:
    light, dark = Publisher(url(source), "/whip/light"), Publisher(url(source), "/whip/dark")
    assert loop.run(light.publish(Film(200))) == 201
    assert loop.run(dark.publish(Film(50))) == 201
    samples = source.samples()
    both = 0
    last_index = -1
    for sample in itertools.islice(samples, 40):
        frames = list(sample)
        assert len({frame.index for frame in frames}) == 1
        assert len({frame.pts_s for frame in frames}) == 1
        assert frames[0].index > last_index
        last_index = frames[0].index
        for frame in frames:
            assert grey(frame) == pytest.approx(200 if frame.stream == "light" else 50, abs=6)
        both += len(frames) == 2
        if both == 5:
            break
    assert both == 5
    counts = source.counts
    assert 0 <= counts.captured - counts.dropped - counts.delivered <= 2
    assert loop.run(light.leave()) == 200
    loop.run(dark.vanish())


def test_a_slow_judge_gets_the_newest_picture_and_the_rest_is_counted(source: WebRtc, loop: Loop) -> None:
    film = Film(20)
    publisher = Publisher(url(source), "/whip/class")
    assert loop.run(publisher.publish(film, AudioStreamTrack())) == 201
    frames = source.frames()
    next(frames)
    film.grey = 220
    time.sleep(2.0)
    frame = next(frames)
    assert time.monotonic_ns() - frame.monotonic_ns < 0.5e9, "the picture is of now, not of when the last was judged"
    assert grey(frame) == pytest.approx(220, abs=6)
    assert source.counts.dropped >= 3
    loop.run(publisher.vanish())


def test_a_lost_publisher_goes_on_as_the_same_stream(source: WebRtc, loop: Loop) -> None:
    mine = {"Classroom-Ticket": TICKET}
    frames = source.frames()
    first = Publisher(url(source), "/whip/ada", mine)
    assert loop.run(first.publish(Film(200))) == 201
    assert next(frames).stream == "ada"
    stranger = Publisher(url(source), "/whip/ada", {"Classroom-Ticket": TICKET[::-1]})
    assert loop.run(stranger.publish(Film(10))) == 409
    loop.run(first.vanish())
    assert loop.run(stranger.publish(Film(10))) == 409, "a cut connection does not give the name away"
    again = Publisher(url(source), "/whip/ada", mine)
    assert loop.run(again.publish(Film(90))) == 201
    seen = (frame for frame in frames if grey(frame) < 150)
    found = next(seen)
    assert found.stream == "ada"
    assert grey(found) == pytest.approx(90, abs=6)
    assert loop.run(again.leave()) == 200
    assert loop.run(stranger.publish(Film(10))) == 201, "who left in order leaves the name"
    loop.run(stranger.vanish())


def test_names_are_given_where_none_is_chosen(source: WebRtc, loop: Loop) -> None:
    publishers = [Publisher(url(source)) for _ in range(2)]
    for number, publisher in enumerate(publishers, start=1):
        assert loop.run(publisher.publish(Film(100))) == 201
        assert publisher.answered["Classroom-Stream"] == f"stream-{number}"
        loop.run(publisher.vanish())


def test_closing_ends_the_frames(source: WebRtc) -> None:
    source.close()
    assert list(source.frames()) == []


def test_a_taken_port_is_named(source: WebRtc) -> None:
    with pytest.raises(BusyError, match=f"{source.port}.*--listen"):
        WebRtc("webrtc", IngestSettings(port=source.port))


def test_the_notices_say_where_to_publish(source: WebRtc) -> None:
    assert f"http://127.0.0.1:{source.port}" in source.notices[0]
    assert f"http://127.0.0.1:{source.port}/whip/obs" in source.notices[1]
