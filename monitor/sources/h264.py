"""Whether decoding H.264 can really start at a packet that its container calls a key frame.

Containers also mark the places from which a picture mends itself little by little (intra refresh); starting there
would lose frames. This file looks at the units (NAL) of one packet; it knows no picture.
"""

from __future__ import annotations

from collections.abc import Iterator

_SLICE, _INSTANT_REFRESH, _MESSAGE = 1, 5, 6
"""nal_unit_type: slice of another picture, slice of an IDR picture, SEI."""
_RECOVERY_POINT = 6
"""payloadType of the SEI message that says after how many frames the picture is whole."""


def starts_afresh(packet: bytes, extradata: bytes | None) -> bool:
    """Whether every frame shown from this one on is whole when decoding starts here.

    Args:
        packet: one access unit.
        extradata: of the stream: an avcC record where units carry their length, else start codes divide them.
    """
    length_size = (extradata[4] & 3) + 1 if extradata and extradata[0] == 1 and len(extradata) > 4 else 0
    for unit in _units(packet, length_size):
        kind = unit[0] & 31
        if kind == _INSTANT_REFRESH:
            return True
        if kind == _MESSAGE and _whole_at_once(unit[1:]):
            return True
        if kind == _SLICE:
            return False
    return False


def _units(packet: bytes, length_size: int) -> Iterator[bytes]:
    """The packet's units without their lengths or start codes; of long ones the beginning only."""
    if not length_size:
        yield from (part[:256] for part in packet.split(b"\0\0\1") if part.strip(b"\0"))
        return
    at = 0
    while at + length_size < len(packet):
        size = int.from_bytes(packet[at : at + length_size], "big")
        at += length_size
        if size:
            yield packet[at : at + min(size, 256)]
        at += size


def _whole_at_once(messages: bytes) -> bool:
    """Whether an SEI unit holds a recovery point of 0 frames (an exp-Golomb 0 is a single 1 bit)."""
    at = 0
    while at + 2 < len(messages):
        kind, at = _sum_of_bytes(messages, at)
        size, at = _sum_of_bytes(messages, at)
        if kind == _RECOVERY_POINT:
            return at < len(messages) and bool(messages[at] & 0x80)
        at += size
    return False


def _sum_of_bytes(data: bytes, at: int) -> tuple[int, int]:
    """A number as SEI writes it: bytes of 255, and one less, to be added up; and where it ends."""
    total = 0
    while at < len(data) and data[at] == 255:
        total += 255
        at += 1
    return total + (data[at] if at < len(data) else 0), at + 1
