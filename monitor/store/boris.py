"""One lecture as a BORIS project (.boris): students as subjects, codes as state events, a coder an observation.

The same rows give the same bytes. Pseudonyms only: names go into students.csv alone. Knows no picture.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from monitor.store.annotation_files import recording_name
from monitor.store.exchange import whole_file
from monitor.store.lanes import Lane, codes_of, lanes_of, lecture_of
from monitor.store.reader import StoreReader

FORMAT_VERSION = "7.0"


def write_boris(reader: StoreReader, lecture_id: str, path: Path) -> int:
    """Write the project; returns the state events (each a start and a stop in the file).

    Observations are of the kind "live", so that BORIS opens them without the recording.

    Raises:
        StoreError: no such lecture, or the file cannot be written.
    """
    lecture = lecture_of(reader, lecture_id)
    lanes = lanes_of(reader, lecture_id)
    codes = codes_of(lecture)
    began = (lecture.started_at or lecture.opened_at).replace(tzinfo=None).isoformat(timespec="seconds")
    students = list(dict.fromkeys(lane.student_id for lane in lanes))
    coders = list(dict.fromkeys(lane.coder for lane in lanes))
    told = f"{recording_name(lecture.source)}; labels {lecture.rubric.rubric_id}; model {lecture.model_id or 'unknown'}"
    project = {
        "time_format": "hh:mm:ss",
        "project_date": began,
        "project_name": lecture_id,
        "project_description": told,
        "project_format_version": FORMAT_VERSION,
        "subjects_conf": {
            str(number): {"key": "", "name": student, "description": ""} for number, student in enumerate(students)
        },
        "behaviors_conf": {
            str(number): _behavior(number, code, meaning, codes) for number, (code, meaning) in enumerate(codes.items())
        },
        "behavioral_categories": [],
        "independent_variables": {},
        "coding_map": {},
        "behaviors_coding_map": [],
        "converters": {},
        "observations": {f"{lecture_id} {coder}": _observation(lanes, coder, began, told) for coder in coders},
    }
    with whole_file(path) as unfinished:
        unfinished.write_text(json.dumps(project, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    return sum(len(lane.stretches) for lane in lanes)


def _behavior(number: int, code: str, meaning: str, codes: dict[str, str]) -> dict[str, Any]:
    return {
        "type": "State event",
        "key": str(number + 1) if number < 9 else "",
        "code": code,
        "description": meaning,
        "category": "",
        "modifiers": {},
        "excluded": ",".join(other for other in codes if other != code),
        "coding map": "",
    }


def _observation(lanes: list[Lane], coder: str, began: str, told: str) -> dict[str, Any]:
    events = [
        [at_ms / 1000, lane.student_id, stretch.code, "", ""]
        for lane in lanes
        if lane.coder == coder
        for stretch in lane.stretches
        for at_ms in (stretch.from_ms, stretch.to_ms)
    ]
    return {
        "file": {},
        "type": "LIVE",
        "date": began,
        "description": told,
        "time offset": 0.0,
        "observation time interval": [0, 0],
        "scan_sampling_time": 0,
        "independent_variables": {},
        "close_behaviors_between_videos": False,
        "visualize_spectrogram": False,
        # Python's sort is stable: at one time, what ends comes before what begins, as the lanes have it.
        "events": sorted(events, key=lambda event: float(str(event[0]))),
    }
