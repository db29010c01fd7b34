"""Finding and opening a camera with OpenCV, and saying in words why one cannot be opened.

This file takes no pictures: that is webcam.py's.
"""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path
from typing import Protocol

import cv2

from monitor.errors import BusyError, SourceError
from monitor.schema import Image

WANTED_WIDTH_PX, WANTED_HEIGHT_PX = 1280, 720
"""Asked of the camera; it gives the nearest it can. Most would start at 640 x 480, too small for a whole room."""
_BACKENDS = {"linux": cv2.CAP_V4L2, "darwin": cv2.CAP_AVFOUNDATION, "win32": cv2.CAP_DSHOW}
_LISTED = Path("/sys/class/video4linux")


class Capture(Protocol):
    """An open camera, as cv2.VideoCapture has it."""

    def grab(self) -> bool:
        """Wait for the next picture; False when there is none any more."""

    def retrieve(self) -> tuple[bool, Image | None]:
        """The grabbed picture, decoded."""

    def release(self) -> None:
        """Give the camera back."""


def open_camera(device: str) -> Capture:
    """Open a camera by its index ("0"), device path ("/dev/video2"), or, on Linux, its name or a part of it.

    Raises:
        SourceError: no such camera, no right to use it, or the path is something else.
        BusyError: it is there, and does not open: another program has it.
    """
    place = _place(device)
    level = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # the error below says it in words
    try:
        capture = cv2.VideoCapture(place, _BACKENDS.get(sys.platform, cv2.CAP_ANY))
    finally:
        cv2.utils.logging.setLogLevel(level)
    if not capture.isOpened():
        capture.release()
        raise _refusal(device, place)
    capture.set(cv2.CAP_PROP_FRAME_WIDTH, WANTED_WIDTH_PX)
    capture.set(cv2.CAP_PROP_FRAME_HEIGHT, WANTED_HEIGHT_PX)
    capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
    opened: Capture = capture
    return opened


def first_picture(device: str) -> Image:
    """Open a camera, take one picture and give the camera back.

    Raises:
        SourceError: see open_camera.
        BusyError: it opens but gives no picture, or does not open.
    """
    capture = open_camera(device)
    try:
        found, image_bgr = capture.retrieve() if capture.grab() else (False, None)
    finally:
        capture.release()
    if not found or image_bgr is None:
        raise busy(device)
    return image_bgr


def list_cameras() -> dict[str, str]:
    """Cameras by device path with their names; known on Linux only, empty elsewhere."""
    if not _LISTED.is_dir():
        return {}
    found = {}
    for entry in sorted(_LISTED.iterdir(), key=lambda entry: (len(entry.name), entry.name)):
        try:
            found[f"/dev/{entry.name}"] = (entry / "name").read_text(encoding="utf-8", errors="replace").strip()
        except OSError:
            continue
    return found


def busy(device: str) -> BusyError:
    """The error for a camera that is there and gives no picture."""
    return BusyError(
        f"camera {device}: it is there but gives no picture. Expected a free camera, found one that another program "
        "holds (Zoom, Teams, a browser tab, another classroom monitor). Close that program, or choose another camera "
        "with --source webcam:N."
    )


def _place(device: str) -> int | str:
    """What OpenCV is to open: an index or a path."""
    if device.isdigit():
        return int(device)
    if "/" in device:
        return str(Path(device).resolve())
    for path, name in list_cameras().items():
        if device and device.lower() in name.lower():
            return path
    raise SourceError(
        f"camera {device!r}: no camera of that name. Expected an index, a device path or a part of a name, "
        f"{_found()}; webcam:0 is the first one."
    )


def _refusal(device: str, place: int | str) -> SourceError | BusyError:
    if not sys.platform.startswith("linux"):
        return SourceError(
            f"camera {device}: does not open. Expected a camera that is connected, permitted and free; connect it, "
            "allow the terminal to use cameras in the system's privacy settings, close other programs that use it, "
            "or choose another with --source webcam:N."
        )
    path = Path(f"/dev/video{place}" if isinstance(place, int) else place)
    try:
        mode = path.stat().st_mode
    except OSError:
        return SourceError(
            f"camera {device}: no such camera. Expected {path}, {_found()}. Connect it, or choose another with "
            "--source webcam:N; without a camera, try --source demo."
        )
    if not stat.S_ISCHR(mode):
        return SourceError(f"camera {device}: {path} is not a camera. To watch a recording give its path alone.")
    if not os.access(path, os.R_OK | os.W_OK):
        return SourceError(
            f"camera {device}: you may not use {path}. Expected the right to read and write it; add yourself to the "
            "group that owns it (sudo usermod -aG video $USER) and log in again."
        )
    return busy(device)


def _found() -> str:
    cameras = list_cameras()
    return "found " + (", ".join(f"{path} ({name})" for path, name in cameras.items()) if cameras else "no camera")
