"""A film for a fake camera: a recording at 30 pictures a second, each with its number written into it as a bar code.

The code is black and white squares in a corner, large enough for any compression. The same numbers stand in the film
that `score` reads, so that a live label and a scored one can be paired whatever was lost on the way.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from monitor.schema import Image

FPS = 30
SQUARE_PX = 8
BITS = 16
"""14 for the number, then its parity, and one that is always white: a picture without a code must not pass for one."""
_NUMBER_BITS = 14
MOST_PICTURES = 1 << _NUMBER_BITS


def write_films(recording: Path, folder: Path, *, seconds: float | None = None) -> tuple[Path, Path]:
    """The film for the fake camera (MJPEG), and the one to score (H.264), of one recording at its own size.

    Args:
        recording: any that PyAV reads.
        folder: where they go.
        seconds: of the recording; None is all of it.
    """
    camera, scored = folder / "camera.mjpeg", folder / "scored.mp4"
    with (
        av.open(str(recording)) as source,
        av.open(str(camera), "w", format="mjpeg") as first,
        av.open(str(scored), "w") as second,
    ):
        video = source.streams.video[0]
        size = video.codec_context.width, video.codec_context.height
        jpeg = first.add_stream("mjpeg", rate=FPS, options={"qmin": "2", "qmax": "4"})
        jpeg.width, jpeg.height, jpeg.pix_fmt = *size, "yuvj420p"
        h264 = second.add_stream("libx264", rate=FPS, options={"crf": "14", "preset": "veryfast"})
        h264.width, h264.height, h264.pix_fmt = *size, "yuv420p"
        number = 0
        for frame in source.decode(video):
            until_s = float(frame.time or 0.0) + 1.0 / float(video.average_rate or 25)
            picture = np.asarray(frame.to_ndarray(format="bgr24"), np.uint8)
            while number / FPS < until_s and number < MOST_PICTURES and (seconds is None or number < seconds * FPS):
                coded = av.VideoFrame.from_ndarray(with_number(picture, number), format="bgr24")
                coded.pts, coded.time_base = number, Fraction(1, FPS)
                narrow = coded.reformat(format="yuv420p")
                first.mux(jpeg.encode(_as_camera(narrow)))
                second.mux(h264.encode(narrow))
                number += 1
        first.mux(jpeg.encode(None))
        second.mux(h264.encode(None))
    return camera, scored


def write_pictures(film: Path, numbers: Sequence[int], out: Path) -> None:
    """Pictures of a film of `write_films`, by number and in this order, a second each."""
    wanted = set(numbers)
    with av.open(str(film)) as source:
        kept = {number: frame for number, frame in enumerate(source.decode(video=0)) if number in wanted}
    with av.open(str(out), "w") as target:
        stream = target.add_stream("libx264", rate=1, options={"crf": "10", "preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = kept[numbers[0]].width, kept[numbers[0]].height, "yuv420p"
        for second, number in enumerate(numbers):
            picture = av.VideoFrame.from_ndarray(kept[number].to_ndarray(), format="yuv420p")
            picture.pts, picture.time_base = second, Fraction(1, 1)
            target.mux(stream.encode(picture))
        target.mux(stream.encode(None))


def _as_camera(narrow: av.VideoFrame) -> av.VideoFrame:
    """The same bytes under another name: browsers take a camera's JPEG for video of the narrow range, as it is."""
    wide = av.VideoFrame.from_ndarray(narrow.to_ndarray(), format="yuvj420p")
    wide.pts, wide.time_base = narrow.pts, narrow.time_base
    return wide


def with_number(image_bgr: Image, number: int) -> Image:
    """A copy with the number in the corner at the top left."""
    coded = image_bgr.copy()
    for place, bit in enumerate(_bits(number)):
        coded[:SQUARE_PX, place * SQUARE_PX : (place + 1) * SQUARE_PX] = 255 * bit
    return coded


def read_number(image_bgr: Image, width_px: int = 1280) -> int | None:
    """The number in a picture, also in one made smaller on the way; None where there is none to be read.

    Args:
        image_bgr: the picture.
        width_px: how wide it was when the number was written.
    """
    side = SQUARE_PX * image_bgr.shape[1] / width_px
    y = int(side / 2)
    bits = [int(image_bgr[y, int((place + 0.5) * side)].mean() > 127) for place in range(BITS)]
    number = int("".join(map(str, bits[:_NUMBER_BITS])), 2)
    return number if bits == _bits(number) else None


def _bits(number: int) -> list[int]:
    digits = [int(digit) for digit in f"{number % MOST_PICTURES:0{_NUMBER_BITS}b}"]
    return [*digits, sum(digits) % 2, 1]
