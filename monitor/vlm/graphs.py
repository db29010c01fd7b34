"""Opens the graphs of a bundle and the tensors of an adapter for onnxruntime, on the processor.

Graphs are opened once; an adapter is a few small inputs more at each run, so taking one up builds no session. It knows
neither crops nor labels.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from monitor.adapter import ADAPTER_FILE, VISION_PREFIX, AdapterFile
from monitor.bundle import Bundle
from monitor.errors import BundleError
from monitor.vlm.pieces import ANSWERED_AT_ONCE, Pieces, seen_at_once


@dataclass(frozen=True, slots=True)
class Graphs:
    """The sessions of one rubric; any number of classifiers and threads may share them."""

    vision: onnxruntime.InferenceSession | None
    """Pixels to image tokens; None where the label graph reads pixels itself (format 1)."""
    label: onnxruntime.InferenceSession
    """To label scores. As the other it keeps to one core: `pieces` gives each core crops of its own."""
    pieces: Pieces

    def see(self, pixels_rgb: NDArray[np.uint8], options: Any = None) -> NDArray[Any]:
        """What the label graph reads, of prepared crops (B, side, side, 3)."""
        vision = self.vision
        if vision is None:
            return pixels_rgb
        at_once = seen_at_once(pixels_rgb.shape[1])
        return self.pieces.run(lambda part: _run(vision, part, options), pixels_rgb, at_once)

    def answer(self, seen: NDArray[Any], options: Any = None) -> NDArray[np.float32]:
        """Label log-probabilities (B, labels) of what was seen."""
        return self.pieces.run(lambda part: _run(self.label, part, options), seen, ANSWERED_AT_ONCE)


@dataclass(frozen=True, slots=True)
class Worn:
    """An adapter in the form in which onnxruntime takes it, per graph; None where it changes nothing."""

    vision: onnxruntime.RunOptions | None = None
    label: onnxruntime.RunOptions | None = None
    loaded: tuple[onnxruntime.LoraAdapter, ...] = ()
    """What the two point at: they do not keep it alive, and without it they change nothing, and say nothing."""


def open_graphs(bundle: Bundle, graph: str, threads: int) -> Graphs:
    """Open the sessions of a rubric's graph.

    Raises:
        BundleError: a graph was changed since, or does not fit this onnxruntime.
    """
    vision = None if bundle.vision is None else _open(bundle, bundle.vision)
    return Graphs(vision, _open(bundle, graph), Pieces(threads))


def wear(adapter: AdapterFile, graphs: Graphs, side_px: int) -> Worn:
    """Make an adapter ready for graphs, and try it once.

    Raises:
        BundleError: it is damaged, or has tensors that the graphs do not take.
    """
    with tempfile.TemporaryDirectory(prefix="classroom-", ignore_cleanup_errors=True) as scratch:
        # onnxruntime maps the file into memory: of a copy of the checked bytes, which nobody else can change. Windows
        # keeps that copy until the program ends.
        path = Path(scratch) / ADAPTER_FILE
        path.write_bytes(adapter.read())
        try:
            tensors = onnxruntime.AdapterFormat.read_adapter(str(path)).get_parameters()
            _require_inputs(adapter, {name: value.numpy() for name, value in tensors.items()}, graphs)
            worn = _activate(tensors, path)
            del tensors
            _try(graphs, worn, side_px)
        except BundleError:
            raise
        except Exception as error:  # onnxruntime raises classes of its own, one per status code
            raise BundleError(
                f"{adapter.path / ADAPTER_FILE}: onnxruntime {onnxruntime.__version__} cannot take it up: "
                f"{str(error).strip()} Export the adapter again."
            ) from error
    return worn


def _open(bundle: Bundle, graph: str) -> onnxruntime.InferenceSession:
    onnxruntime.disable_telemetry_events()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.enable_mem_pattern = False  # it would keep one plan of the memory for each size of batch, and gains nothing
    try:
        return onnxruntime.InferenceSession(bundle.read(graph), options, providers=["CPUExecutionProvider"])
    except BundleError:
        raise
    except Exception as error:  # onnxruntime raises classes of its own, one per status code
        raise BundleError(
            f"{bundle.path / graph}: onnxruntime {onnxruntime.__version__} cannot load it: {str(error).strip()} "
            "Update onnxruntime, or export the bundle again."
        ) from error


def _run(session: onnxruntime.InferenceSession, value: NDArray[Any], options: Any) -> NDArray[Any]:
    (found,) = session.run(None, {session.get_inputs()[0].name: value}, options)
    result: NDArray[Any] = found
    return result


def _require_inputs(adapter: AdapterFile, tensors: dict[str, NDArray[Any]], graphs: Graphs) -> None:
    """Each tensor must be numbers, as the manifest says, and find its place in the graph it changes."""
    path = adapter.path / ADAPTER_FILE
    shapes = {name: one.shape for name, one in tensors.items()}
    if shapes != dict(adapter.tensors):
        name, shape = sorted(set(shapes.items()) ^ set(adapter.tensors.items()))[0]
        raise BundleError(f"{path}: {name} {shape} is not as its manifest says. Export the adapter again.")
    taken = {True: _inputs(graphs.vision), False: _inputs(graphs.label)}
    for name, one in tensors.items():
        if name not in taken[name.startswith(VISION_PREFIX)]:
            raise BundleError(
                f"{path}: the bundle {adapter.base.path} takes no tensor {name!r} (it takes {len(taken[False])} of "
                f"text, {len(taken[True])} of vision). Export bundle and adapter with the same version of this program."
            )
        if not np.isfinite(one).all():
            raise BundleError(f"{path}: {name} holds what is no number. Train the adapter again.")


def _inputs(session: onnxruntime.InferenceSession | None) -> set[str]:
    return set() if session is None else {one.name for one in session.get_overridable_initializers()}


def _activate(tensors: dict[str, Any], whole: Path) -> Worn:
    """Run options with the adapter switched on; a graph takes the tensors that are its own and refuses others."""
    parts = [
        {name: one for name, one in tensors.items() if name.startswith(VISION_PREFIX) is own} for own in (True, False)
    ]
    if not parts[0]:
        loaded = _load(whole)
        return Worn(None, _options(loaded), (loaded,))
    made: list[onnxruntime.LoraAdapter | None] = []
    for number, part in enumerate(parts):
        path = whole.with_name(f"{number}-{whole.name}")
        split = onnxruntime.AdapterFormat()
        split.set_parameters(part)
        split.export_adapter(str(path))
        made.append(_load(path) if part else None)
    vision, label = (None if one is None else _options(one) for one in made)
    return Worn(vision, label, tuple(one for one in made if one is not None))


def _load(path: Path) -> onnxruntime.LoraAdapter:
    loaded = onnxruntime.LoraAdapter()
    loaded.Load(str(path))
    return loaded


def _options(loaded: onnxruntime.LoraAdapter) -> onnxruntime.RunOptions:
    options = onnxruntime.RunOptions()
    options.add_active_adapter(loaded)
    return options


def _try(graphs: Graphs, worn: Worn, side_px: int) -> None:
    """One blank picture: shapes that do not fit, or numbers that are none, show here and not in a lecture."""
    seen = graphs.see(np.zeros((1, side_px, side_px, 3), np.uint8), worn.vision)
    if not np.isfinite(graphs.answer(seen, worn.label)).all():
        raise ValueError("its answers are no numbers")
