"""Finds faces with a YuNet network that the user brings, by OpenCV's FaceDetectorYN. It brings no weights of its own.

Such a file has one picture as input and twelve outputs: class, objectness, box and five points of the face, each on
grids of 8, 16 and 32 pixels. The bytes that are checked are the bytes that run.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import onnxruntime

from monitor.errors import BundleError
from monitor.schema import Box, Detection, Image
from monitor.students.faces import input_side

OUTPUTS = tuple(f"{kind}_{stride}" for kind in ("cls", "obj", "bbox", "kps") for stride in (8, 16, 32))
"""Names of the outputs by which OpenCV reads a YuNet network."""
_THRESHOLD = 0.6
_OVERLAP = 0.3
_MOST_FACES = 200
_WHERE = "Take a YuNet file that OpenCV's FaceDetectorYN reads, such as face_detection_yunet_2023mar.onnx"


class YuNetFinder:
    """Face boxes of pictures, on as many threads as OpenCV has."""

    def __init__(self, path: Path, sha256: str | None = None) -> None:
        """Open the network in `path`; with `sha256`, only if its bytes are those.

        Raises:
            BundleError: the file is missing, changed, or no YuNet network.
        """
        data = _read(path, sha256)
        _check_outputs(path, data)
        self.model_id = f"yunet-{hashlib.sha256(data).hexdigest()[:12]}"
        loud = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)  # it warns of targets nobody chose
        try:
            self._detector = cv2.FaceDetectorYN.create(
                "onnx",
                np.frombuffer(data, np.uint8),
                np.empty(0, np.uint8),
                (320, 320),
                _THRESHOLD,
                _OVERLAP,
                _MOST_FACES,
            )
            self.find([np.zeros((64, 64, 3), np.uint8)])
        except cv2.error as error:
            raise BundleError(
                f"{path}: expected a YuNet network that OpenCV {cv2.__version__} can run, found one that it cannot "
                f"({_first_line(error)}). {_WHERE}"
            ) from error
        finally:
            cv2.utils.logging.setLogLevel(loud)

    def find(self, images: Sequence[Image], longer_side_px: int | None = None) -> list[list[Detection]]:
        """Faces of each picture, best score first, boxes in pixels of that picture.

        Args:
            images: blue-green-red pictures of any sizes.
            longer_side_px: size at which the network looks; None looks at small pictures as tiles, at others as rooms.
        """
        return [self._find_in(image, longer_side_px) for image in images]

    def _find_in(self, image: Image, longer_side_px: int | None) -> list[Detection]:
        height, width = image.shape[:2]
        if min(height, width) < 8:
            return []
        scale = input_side(image, longer_side_px) / max(height, width)
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        resized = cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
        self._detector.setInputSize(size)
        rows = self._detector.detect(resized)[1]
        found: list[Detection] = []
        for x, y, across, down, *_, score in [] if rows is None else rows.astype(float):
            left, right = max(0, round(x * width / size[0])), min(width, round((x + across) * width / size[0]))
            top, bottom = max(0, round(y * height / size[1])), min(height, round((y + down) * height / size[1]))
            if right - left >= 2 and bottom - top >= 2:
                found.append(Detection("face", Box(left, top, right, bottom), min(1.0, float(score))))
        return sorted(found, key=lambda face: -face.score)


def _read(path: Path, sha256: str | None) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BundleError(
            f"{path}: expected a face model (.onnx), found no file that can be read ({error.strerror}). "
            "Check the path, or unset face_model (CLASSROOM_FACE_MODEL) to use the finder that ships"
        ) from error
    found = hashlib.sha256(data).hexdigest()
    if sha256 is not None and found != sha256.lower():
        raise BundleError(
            f"{path}: expected sha256 {sha256.lower()}, found {found}. Fetch the file again, or correct "
            "face_model_sha256 (CLASSROOM_FACE_MODEL_SHA256)"
        )
    return data


def _check_outputs(path: Path, data: bytes) -> None:
    """OpenCV opens any network as a YuNet and fails at the first picture, without saying why."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own error types are not public
        raise BundleError(
            f"{path}: expected a YuNet network, found no ONNX file that opens ({_first_line(error)}). {_WHERE}"
        ) from error
    names = [output.name for output in session.get_outputs()]
    missing = [name for name in OUTPUTS if name not in names]
    inputs = session.get_inputs()
    if missing or len(inputs) != 1:
        shown = ", ".join(names[:6]) + (", …" if len(names) > 6 else "")
        raise BundleError(
            f"{path}: not a YuNet network: expected one input and the outputs {OUTPUTS[0]} to {OUTPUTS[-1]}, found "
            f"{len(inputs)} inputs and the outputs {shown}. {_WHERE}"
        )


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
