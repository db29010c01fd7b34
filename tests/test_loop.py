"""The loop, whole: live, corrected, retrained beside the monitor, promoted, live again; needs the extra synthetic."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.loop import LoopSettings, run_loop
from monitor.bundle import open_bundle
from monitor.registry import SHIPPED_BUNDLE


def test_a_student_who_is_always_misread_is_read_after_forty_corrections(tmp_path: Path) -> None:
    pytest.importorskip("moderngl")
    pytest.importorskip("anny")
    assert open_bundle(SHIPPED_BUNDLE).vision is not None, "the bundle that ships must take adapters"
    told = run_loop(tmp_path, LoopSettings(samples=12, recording_s=600))
    assert told["corrections"] <= 40
    assert told["misread_before"] >= 0.8, told
    assert told["unseen_before"] <= 0.3, told
    assert told["corrected_after"] >= 0.9, told
    assert told["unseen_after"] >= 0.9, told
    assert told["others_after"] >= told["others_before"], told
    assert told["unlabelled"] == 0, told
    assert told["longest_gap_s"] < 5.0, told
    real = [reason for reason in told["gate_reasons"] if "too few pictures to be sure" not in reason]
    assert len(real) == 1 and "students judge" in real[0], "no loss that anybody could be sure of"
