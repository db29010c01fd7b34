"""Directions and rotations around a student's head, in one convention.

The world is in metres: +x to the student's left (right in the picture), -y out of the face, +z up.
Yaw is positive towards +x, pitch positive downwards, both in radians. It knows no student and no room.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
"""Three numbers: a point in metres or a direction."""

Matrix = NDArray[np.float64]
"""3 x 3 rotation, or 4 x 4 projection where said."""


def turn_z(angle_rad: float) -> Matrix:
    """Rotate about +z: turns the face (-y) towards +x, a yaw."""
    c, s = math.cos(angle_rad), math.sin(angle_rad)
    return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])


def turn_x(angle_rad: float) -> Matrix:
    """Rotate about +x: lowers the face (-y), a pitch."""
    c, s = math.cos(angle_rad), math.sin(angle_rad)
    return np.array([[1.0, 0.0, 0.0], [0.0, c, -s], [0.0, s, c]])


def turn_y(angle_rad: float) -> Matrix:
    """Rotate about +y: tilts the head towards a shoulder, a roll."""
    c, s = math.cos(angle_rad), math.sin(angle_rad)
    return np.array([[c, 0.0, s], [0.0, 1.0, 0.0], [-s, 0.0, c]])


def direction(yaw_rad: float, pitch_rad: float) -> Vector:
    """The unit vector with this yaw and pitch."""
    flat = math.cos(pitch_rad)
    return np.array([math.sin(yaw_rad) * flat, -math.cos(yaw_rad) * flat, -math.sin(pitch_rad)])


def yaw_pitch(vector: Vector) -> tuple[float, float]:
    """Yaw and pitch of a vector of any length but zero; the inverse of `direction`."""
    unit = vector / np.linalg.norm(vector)
    return math.atan2(unit[0], -unit[1]), -math.asin(float(np.clip(unit[2], -1.0, 1.0)))


def seen_from(camera: Vector, vector: Vector) -> tuple[float, float]:
    """Yaw and pitch of a vector relative to the axis from the head to the camera: (0, 0) looks into the lens."""
    camera_yaw, camera_pitch = yaw_pitch(camera)
    return yaw_pitch((turn_z(camera_yaw) @ turn_x(camera_pitch)).T @ vector)


def angle_between(first: Vector, second: Vector) -> float:
    """The angle between two vectors, 0 to pi."""
    cosine = float(first @ second) / float(np.linalg.norm(first) * np.linalg.norm(second))
    return math.acos(max(-1.0, min(1.0, cosine)))


def look_at(eye: Vector, target: Vector, up: Vector | None = None) -> Matrix:
    """The 4 x 4 view matrix of a camera at `eye` that looks at `target`."""
    forward = target - eye
    forward = forward / np.linalg.norm(forward)
    right = np.cross(forward, np.array([0.0, 0.0, 1.0]) if up is None else up)
    right = right / np.linalg.norm(right)
    view = np.eye(4)
    view[0, :3], view[1, :3], view[2, :3] = right, np.cross(right, forward), -forward
    view[:3, 3] = -view[:3, :3] @ eye
    return view


def perspective(fov_y_rad: float, near_m: float = 0.05, far_m: float = 10.0) -> Matrix:
    """The 4 x 4 projection of a square picture with this vertical field of view."""
    focal = 1.0 / math.tan(fov_y_rad / 2)
    matrix = np.zeros((4, 4))
    matrix[0, 0] = matrix[1, 1] = focal
    matrix[2, 2] = (far_m + near_m) / (near_m - far_m)
    matrix[2, 3] = 2 * far_m * near_m / (near_m - far_m)
    matrix[3, 2] = -1.0
    return matrix


def orthographic(half_size_m: float, near_m: float, far_m: float) -> Matrix:
    """The 4 x 4 projection of a parallel light."""
    matrix = np.eye(4)
    matrix[0, 0] = matrix[1, 1] = 1.0 / half_size_m
    matrix[2, 2] = -2.0 / (far_m - near_m)
    matrix[2, 3] = -(far_m + near_m) / (far_m - near_m)
    return matrix


def window(matrix: Matrix, centre: tuple[float, float], half: tuple[float, float]) -> Matrix:
    """Crop a 4 x 4 projection so that this part of its normalised picture (-1 to 1) fills the new one."""
    crop = np.eye(4)
    crop[0, 0], crop[1, 1] = 1.0 / half[0], 1.0 / half[1]
    crop[0, 3], crop[1, 3] = -centre[0] / half[0], -centre[1] / half[1]
    return crop @ matrix


def project(matrix: Matrix, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Points (N, 3) through a 4 x 4 matrix to normalised picture coordinates (N, 2), y up."""
    homogeneous = np.c_[points, np.ones(len(points))] @ matrix.T
    flat: NDArray[np.float64] = homogeneous[:, :2] / homogeneous[:, 3:4]
    return flat
