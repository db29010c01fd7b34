"""Draws a posed body with what it wears, on the graphics card or in software (EGL), one program per material.

Input is geometry and numbers for the shaders; output is a picture with alpha. It knows no people, labels or rooms.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.errors import ClassroomError
from trainer.synthetic.angles import Matrix, Vector, look_at, orthographic
from trainer.synthetic.eyes import AVERAGE
from trainer.synthetic.mesh import Topology, face_masks, topology
from trainer.synthetic.shapes import Mesh

MATERIALS = ("skin", "eye", "hair", "long_hair", "cloth", "cover", "lash", "plain")
SHADOW_PX = 512

_SHADERS = Path(__file__).parent / "shaders"
_ATTRIBUTES = {"position": 3, "normal": 3, "canonical": 3, "uv": 2, "eye_direction": 3}
_MASKS_UNIT, _SHADOW_UNIT = 0, 1

Uniforms = Mapping[str, Any]
"""Names of the shaders' uniforms to numbers or sequences of numbers."""


@dataclass(frozen=True, slots=True)
class Pass:
    """One drawing of a part of the body in one material."""

    part: str
    material: str
    uniforms: Uniforms = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Prop:
    """A mesh of one colour beside the body."""

    mesh: Mesh
    tint: Vector
    shine: float = 0.1
    opacity: float = 1.0
    casts_shadow: bool = True
    skin_like: float = 0.0


@dataclass(frozen=True, slots=True)
class Drawing:
    """Everything of one picture."""

    vertices: NDArray[np.float64]
    """(V, 3) the posed body, eyes turned."""
    passes: Sequence[Pass]
    props: Sequence[Prop]
    uniforms: Uniforms
    """For all materials: lights, colours, hairline."""
    camera: Vector
    view_projection: Matrix
    """4 x 4."""
    centre: Vector
    """What the shadow map is centred on."""


def open_context() -> Any:
    """A moderngl context without a window. Raises ClassroomError, saying what to install."""
    try:
        import moderngl
    except ModuleNotFoundError as error:
        raise ClassroomError(
            "rendering students needs the package `moderngl`;"
            " install it with: pip install 'classroom-monitor[synthetic]'"
        ) from error
    try:
        if sys.platform.startswith("linux"):
            return moderngl.create_standalone_context(backend="egl")  # type: ignore[arg-type]  # its stub is wrong
        return moderngl.create_standalone_context()
    except Exception as error:  # moderngl raises bare Exception for a missing library or display
        raise ClassroomError(
            "no OpenGL context without a window: expected EGL with OpenGL 3.3, "
            f"found {type(error).__name__}: {error}. On Debian or Ubuntu install the software renderer with: "
            "sudo apt-get install libegl1 libgl1-mesa-dri; on other systems install the graphics driver"
        ) from error


class Renderer:
    """Holds the context, the programs and the body's buffers; draws one picture at a time. Not for several threads."""

    def __init__(self, samples: int = 4) -> None:
        self._context = open_context()
        self._samples = samples
        self._mesh: Topology = topology()
        self._programs = {name: self._program("mesh.vert", f"{name}.frag") for name in MATERIALS}
        self._shadow_program = self._program("shadow.vert", "shadow.frag")
        self._moving = self._context.buffer(reserve=len(self._mesh.split) * 24)
        self._arrays = self._body_arrays()
        masks = face_masks()
        self._masks = self._context.texture(masks.shape[:2], 3, masks.tobytes())
        self._masks.build_mipmaps()
        self._shadow_map = self._context.depth_texture((SHADOW_PX, SHADOW_PX))
        self._shadow_map.compare_func = "<="
        self._shadow_target = self._context.framebuffer(depth_attachment=self._shadow_map)
        self._targets: dict[tuple[int, int], tuple[Any, Any]] = {}

    def draw(self, drawing: Drawing, size: tuple[int, int]) -> NDArray[np.uint8]:
        """(height, width, 4) red, green, blue, alpha; colours premultiplied; size is (width, height) px."""
        import moderngl

        context = self._context
        vertices = drawing.vertices
        normals = self._mesh.normals(vertices)
        split = self._mesh.split
        self._moving.write(np.concatenate([vertices[split], normals[split]], 1).astype("f4").tobytes())
        context.enable_only(moderngl.DEPTH_TEST)
        buffers = [self._upload(prop) for prop in drawing.props]
        light = self._draw_shadows(drawing, buffers)
        target, resolved = self._target(size)
        target.use()
        target.clear(0.0, 0.0, 0.0, 0.0, depth=1.0)
        self._masks.use(_MASKS_UNIT)
        self._shadow_map.use(_SHADOW_UNIT)
        shared = {
            **AVERAGE.uniforms,
            **drawing.uniforms,
            "camera": drawing.camera,
            "masks": _MASKS_UNIT,
            "shadow_map": _SHADOW_UNIT,
            "push": 0.0,
            "crown": 0.0,
            "curl": 0.0,
            "curl_size": 1.0,
            # Else teeth would keep what the last thing of the picture before left behind.
            "skin_like": 0.0,
        }
        used = {"plain", *(one.material for one in drawing.passes)}
        for name in used:
            program = self._programs[name]
            _write_matrix(program, "view_projection", drawing.view_projection)
            _write_matrix(program, "light_projection", light)
            _write(program, shared)
        for one in drawing.passes:
            self._draw_pass(one, shared)
        self._draw_props(drawing.props, buffers)
        for vertex_buffer, index_buffer in buffers:
            vertex_buffer.release()
            index_buffer.release()
        context.copy_framebuffer(resolved, target)
        pixels = np.frombuffer(resolved.read(components=4), np.uint8)
        return pixels.reshape(size[1], size[0], 4)[::-1]

    def close(self) -> None:
        """Give the context back."""
        self._context.release()

    def _program(self, vertex: str, fragment: str) -> Any:
        return self._context.program(_source(vertex), _source(fragment))

    def _body_arrays(self) -> dict[str, Any]:
        mesh = self._mesh
        fixed = np.concatenate([mesh.template[mesh.split], mesh.uv, mesh.eye_direction], 1)
        fixed_buffer = self._context.buffer(fixed.astype("f4").tobytes())
        index_buffer = self._context.buffer(mesh.indices.astype("i4").tobytes())
        arrays = {}
        for name, program in self._programs.items():
            content = [
                _layout(program, self._moving, ("position", "normal")),
                _layout(program, fixed_buffer, ("canonical", "uv", "eye_direction")),
            ]
            arrays[name] = self._context.vertex_array(program, [c for c in content if c], index_buffer)
        arrays["shadow"] = self._context.vertex_array(
            self._shadow_program, [(self._moving, "3f 12x", "position")], index_buffer
        )
        return arrays

    def _target(self, size: tuple[int, int]) -> tuple[Any, Any]:
        if size not in self._targets:
            context, samples = self._context, self._samples
            drawn = context.framebuffer(
                [context.renderbuffer(size, 4, samples=samples)], context.depth_renderbuffer(size, samples=samples)
            )
            self._targets[size] = (drawn, context.framebuffer([context.renderbuffer(size, 4)]))
        return self._targets[size]

    def _upload(self, prop: Prop) -> tuple[Any, Any]:
        mesh = prop.mesh
        data = np.concatenate([mesh.points, mesh.normals(), np.zeros((len(mesh.points), 8))], 1)
        return (
            self._context.buffer(data.astype("f4").tobytes()),
            self._context.buffer(mesh.triangles.astype("i4").tobytes()),
        )

    def _draw_shadows(self, drawing: Drawing, buffers: Sequence[tuple[Any, Any]]) -> Matrix:
        toward = np.asarray(drawing.uniforms["key_direction"], dtype=np.float64)
        up = np.array([0.0, 1.0, 0.0]) if abs(toward[2]) > 0.95 else None
        light: Matrix = orthographic(0.32, 0.1, 2.0) @ look_at(drawing.centre + toward, drawing.centre, up)
        self._shadow_target.use()
        self._shadow_target.clear(depth=1.0)
        _write_matrix(self._shadow_program, "light_projection", light)
        for part in ("head", "torso"):
            first, count = self._mesh.runs[part]
            self._arrays["shadow"].render(vertices=count * 3, first=first * 3)
        for prop, (vertex_buffer, index_buffer) in zip(drawing.props, buffers, strict=True):
            if prop.casts_shadow:
                array = self._context.vertex_array(
                    self._shadow_program, [(vertex_buffer, "3f 44x", "position")], index_buffer
                )
                array.render()
                array.release()
        return light

    def _draw_pass(self, one: Pass, shared: Uniforms) -> None:
        import moderngl

        program = self._programs[one.material]
        _write(program, one.uniforms)
        if one.material in ("skin", "eye"):
            self._context.enable(moderngl.CULL_FACE)
        first, count = self._mesh.runs[one.part]
        self._arrays[one.material].render(vertices=count * 3, first=first * 3)
        self._context.disable(moderngl.CULL_FACE)
        _write(program, {name: shared[name] for name in one.uniforms if name in shared})

    def _draw_props(self, props: Sequence[Prop], buffers: Sequence[tuple[Any, Any]]) -> None:
        """Opaque ones first, then lenses over them."""
        import moderngl

        program = self._programs["plain"]
        for prop, (vertex_buffer, index_buffer) in sorted(
            zip(props, buffers, strict=True), key=lambda pair: -pair[0].opacity
        ):
            if prop.opacity < 1.0:
                self._context.enable(moderngl.BLEND)
                self._context.blend_func = moderngl.ONE, moderngl.ONE_MINUS_SRC_ALPHA
            tint = {"tint": prop.tint, "shine": prop.shine, "opacity": prop.opacity, "skin_like": prop.skin_like}
            _write(program, tint)
            layout = _layout(program, vertex_buffer, tuple(_ATTRIBUTES))
            array = self._context.vertex_array(program, [layout], index_buffer)
            array.render()
            array.release()
        self._context.disable(moderngl.BLEND)


def _source(name: str) -> str:
    """A shader's text with its includes put in."""
    lines = []
    for line in (_SHADERS / f"{name}.glsl").read_text(encoding="utf-8").splitlines():
        if line.startswith("#include"):
            lines.append((_SHADERS / line.split('"')[1]).read_text(encoding="utf-8"))
        else:
            lines.append(line)
    return "\n".join(lines)


def _layout(program: Any, buffer: Any, names: Sequence[str]) -> tuple[Any, ...] | None:
    """The buffer's description for this program, skipping what its compiler threw away; None for nothing left."""
    kinds = [f"{_ATTRIBUTES[name]}f" if name in program else f"{4 * _ATTRIBUTES[name]}x" for name in names]
    kept = [name for name in names if name in program]
    return (buffer, " ".join(kinds), *kept) if kept else None


def _write(program: Any, uniforms: Uniforms) -> None:
    for name, value in uniforms.items():
        if name in program:
            program[name].value = tuple(map(float, value)) if np.ndim(value) else value


def _write_matrix(program: Any, name: str, matrix: Matrix) -> None:
    if name in program:
        program[name].write(matrix.T.astype("f4").tobytes())
