"""What waits for aiortc's decoder, kept short: where pictures come faster than they can be decoded, old ones go.

aiortc puts every coded picture of a track into a queue without bound, from which a thread of its own decodes. A
publisher that floods, or a machine that is too slow, would fill the memory and let every label grow older.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from typing import Any

from aiortc import RTCRtpReceiver

from monitor.sources.h264 import starts_afresh

MOST_WAITING = 20
"""Coded pictures; more than a network's hiccup brings at once, two seconds at the pace of the capture page."""
ASK_EVERY_S = 1.0
"""How often to ask for a picture that decoding can start from, until it comes."""
_QUEUE = "_RTCRtpReceiver__decoder_queue"
_FAILED = "_RTCRtpReceiver__decoder_error"

logger = logging.getLogger("monitor.webrtc")


class Backlog(queue.Queue[Any]):
    """A queue of (codec, coded picture), emptied when it is full; then nothing enters before the next key picture.

    Args:
        lost: set to have a key picture asked for, as aiortc does when decoding failed (RFC 4585 section 6.3.1).
    """

    def __init__(self, lost: threading.Event) -> None:
        super().__init__()
        self.skipped = 0
        """Pictures that were never decoded."""
        self._lost = lost
        self._skips = False
        self._asked_s = 0.0

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        """Take a picture or leave it; None, which ends the decoder, is always taken."""
        if item is None or self._wants(*item):
            super().put(item, block, timeout)

    def _wants(self, codec: Any, picture: Any) -> bool:
        if self.qsize() >= MOST_WAITING:
            self._empty()
            self._skips = True
        if self._skips and _is_key(codec.name, picture.data):
            self._skips = False
        if self._skips:
            self.skipped += 1
            now_s = time.monotonic()
            if now_s - self._asked_s >= ASK_EVERY_S:
                self._asked_s = now_s
                self._lost.set()
        return not self._skips

    def _empty(self) -> None:
        logger.info("pictures come faster than they can be decoded: %d are skipped", self.qsize())
        while True:
            try:
                self.get_nowait()
            except queue.Empty:
                return
            self.skipped += 1


def bound(receiver: RTCRtpReceiver) -> Backlog:
    """Give a receiver that has not begun a bounded queue.

    aiortc 1.16 has no public way to it, so names of its own are used; tests fail when a newer one moves them.
    """
    backlog = Backlog(getattr(receiver, _FAILED))
    setattr(receiver, _QUEUE, backlog)
    return backlog


def _is_key(codec: str, coded: bytes) -> bool:
    """Whether decoding can start at a picture. VP8: RFC 6386 section 9.1; H.264: an IDR picture."""
    if codec == "VP8":
        return bool(coded) and not coded[0] & 1
    return codec != "H264" or starts_afresh(coded, None)
