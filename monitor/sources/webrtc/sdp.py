"""What is read of an offer and of trickled candidates, within bounds, before aiortc sees any of it."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from aiortc.rtcicetransport import RTCIceCandidate
from aiortc.sdp import SessionDescription, candidate_from_sdp

from monitor.errors import BadInputError

MOST_BYTES = 64 * 1024
"""Of an offer or a fragment; a browser's offer with audio and video has about 8 KiB."""
MOST_LINES = 2000
MOST_LINE_CHARACTERS = 2048
MOST_MEDIA = 8
MOST_CANDIDATES = 64
_LINE = re.compile(r"[a-z]=.*")
_HOST_NAME = re.compile(r"[A-Za-z0-9-]{1,63}\.local")


class OfferError(BadInputError):
    """An offer or fragment that is not understood: 400."""


class UnsuitableOfferError(BadInputError):
    """An offer that is understood and cannot be accepted: 422."""


@dataclass(frozen=True, slots=True)
class Fragment:
    """A PATCH body: candidates of the connection, or the wish for a new one."""

    ufrag: str | None
    candidates: tuple[RTCIceCandidate, ...]
    complete: bool
    """Whether no more candidates follow."""


def read_offer(body: bytes) -> str:
    """The text of an offer that holds video somebody sends.

    Raises:
        OfferError: no SDP, or out of bounds.
        UnsuitableOfferError: SDP without video, or of one who wants to receive.
    """
    text = _text(body)
    try:
        offer = SessionDescription.parse(text)
    except Exception as error:  # aiortc's reader raises whatever it trips over
        raise OfferError("the body is no session description that can be read") from error
    if not 1 <= len(offer.media) <= MOST_MEDIA:
        raise OfferError(f"an offer has 1 to {MOST_MEDIA} media sections, found {len(offer.media)}")
    if sum(len(media.ice_candidates) for media in offer.media) > MOST_CANDIDATES:
        raise OfferError(f"an offer has at most {MOST_CANDIDATES} candidates")
    for media in offer.media:
        for candidate in media.ice_candidates:
            _require_address(candidate)
    _require_connection(offer)
    videos = [media for media in offer.media if media.kind == "video"]
    if not any((media.direction or "sendrecv") in ("sendonly", "sendrecv") for media in videos):
        raise UnsuitableOfferError("the offer sends no video; share a camera, a window or a screen")
    return text


def ufrag_of(text: str) -> str | None:
    """The username fragment of an offer that was read: it names its ICE session."""
    found = re.search(r"(?m)^a=ice-ufrag:(\S+)", text)
    return found[1] if found else None


def read_fragment(body: bytes) -> Fragment:
    """Trickled candidates (RFC 8840).

    Raises:
        OfferError: no SDP fragment, or out of bounds.
    """
    text = _text(body)
    mid: str | None = None
    candidates: list[RTCIceCandidate] = []
    complete = False
    for line in text.splitlines():
        if line.startswith("a=mid:"):
            mid = line[6:].strip()
        elif line.startswith("a=candidate:"):
            candidates.append(_candidate(line[12:], mid))
        elif line.startswith("a=end-of-candidates"):
            complete = True
    if len(candidates) > MOST_CANDIDATES:
        raise OfferError(f"a fragment has at most {MOST_CANDIDATES} candidates")
    ufrag = ufrag_of(text)
    if ufrag is None and not candidates and not complete:
        raise OfferError("the fragment names neither candidates nor their end")
    return Fragment(ufrag, tuple(candidates), complete)


def _candidate(value: str, mid: str | None) -> RTCIceCandidate:
    try:
        candidate = candidate_from_sdp(value)
    except Exception as error:
        raise OfferError("a candidate cannot be read") from error
    _require_address(candidate)
    candidate.sdpMid, candidate.sdpMLineIndex = mid, None if mid else 0
    return candidate


def _require_address(candidate: RTCIceCandidate) -> None:
    """An address, or a name of multicast DNS: nothing that asks a name server on behalf of a stranger."""
    if not 0 <= candidate.port <= 65535 or candidate.component not in (1, 2):
        raise OfferError("a candidate has a port or component that there is not")
    if _HOST_NAME.fullmatch(candidate.ip):
        return
    try:
        ipaddress.ip_address(candidate.ip)
    except ValueError:
        raise OfferError("a candidate is an address or a .local name") from None


def _require_connection(offer: SessionDescription) -> None:
    """What each media section needs so that ICE and DTLS can start at all."""
    for media in offer.media:
        if media.kind not in ("audio", "video", "application"):
            raise OfferError("a media section is audio, video or application")
        bundled = media.port == 0
        ice = media.ice
        if not bundled and (ice is None or not ice.usernameFragment or not ice.password):
            raise OfferError("a media section lacks ice-ufrag or ice-pwd")
        if not bundled and (media.dtls is None or not media.dtls.fingerprints):
            raise OfferError("a media section lacks a fingerprint")


def _text(body: bytes) -> str:
    if len(body) > MOST_BYTES:
        raise OfferError(f"a body has at most {MOST_BYTES} bytes")
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        raise OfferError("the body is not UTF-8") from None
    lines = text.splitlines()
    if not 0 < len(lines) <= MOST_LINES:
        raise OfferError(f"a body has 1 to {MOST_LINES} lines")
    if any(len(line) > MOST_LINE_CHARACTERS or (line and not _LINE.fullmatch(line)) for line in lines):
        raise OfferError("a line is not of the form x=value, or too long")
    return text
