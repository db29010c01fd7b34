"""One lecture as an ELAN file (.eaf): a tier a student and coder, the codes as a controlled vocabulary.

The same rows give the same bytes. Pseudonyms only: names go into students.csv alone. Knows no picture.
"""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as Xml

from monitor.store.annotation_files import recording_name
from monitor.store.exchange import whole_file
from monitor.store.lanes import Lane, codes_of, lanes_of, lecture_of
from monitor.store.reader import StoreReader

_SCHEMA = "http://www.mpi.nl/tools/elan/EAFv3.0.xsd"
_XSI = "http://www.w3.org/2001/XMLSchema-instance"
_VOCABULARY = _TYPE = "codes"
_UNDETERMINED = "http://cdb.iso.org/lg/CDB-00130975-001"


def write_eaf(reader: StoreReader, lecture_id: str, path: Path) -> int:
    """Write the file beside the recording's name, so that ELAN finds it there; returns the annotations.

    Raises:
        StoreError: no such lecture, or the file cannot be written.
    """
    lecture = lecture_of(reader, lecture_id)
    lanes = lanes_of(reader, lecture_id)
    document = Xml.Element(
        "ANNOTATION_DOCUMENT",
        {
            "AUTHOR": "classroom-monitor",
            "DATE": (lecture.started_at or lecture.opened_at).isoformat(timespec="seconds"),
            "FORMAT": "3.0",
            "VERSION": "3.0",
            "xmlns:xsi": _XSI,
            "xsi:noNamespaceSchemaLocation": _SCHEMA,
        },
    )
    count = sum(len(lane.stretches) for lane in lanes)
    _add_header(document, recording_name(lecture.source), count)
    _add_lanes(document, lanes)
    _add_vocabulary(document, codes_of(lecture))
    Xml.indent(document)
    with whole_file(path) as unfinished:
        Xml.ElementTree(document).write(unfinished, encoding="UTF-8", xml_declaration=True)
    return count


def _add_header(document: Xml.Element, recording: str, count: int) -> None:
    header = Xml.SubElement(document, "HEADER", {"MEDIA_FILE": "", "TIME_UNITS": "milliseconds"})
    if "." in recording:
        place = {"MEDIA_URL": f"file:./{recording}", "MIME_TYPE": "video/mp4", "RELATIVE_MEDIA_URL": f"./{recording}"}
        Xml.SubElement(header, "MEDIA_DESCRIPTOR", place)
    Xml.SubElement(header, "PROPERTY", {"NAME": "lastUsedAnnotationId"}).text = str(count)


def _add_lanes(document: Xml.Element, lanes: list[Lane]) -> None:
    """The time slots first, as the format wants it, then the tiers that refer to them."""
    order = Xml.SubElement(document, "TIME_ORDER")
    times = sorted({at for lane in lanes for stretch in lane.stretches for at in (stretch.from_ms, stretch.to_ms)})
    slots = {at_ms: f"ts{number}" for number, at_ms in enumerate(times, start=1)}
    for at_ms, slot in slots.items():
        Xml.SubElement(order, "TIME_SLOT", {"TIME_SLOT_ID": slot, "TIME_VALUE": str(at_ms)})
    number = 0
    for lane in lanes:
        about = {"TIER_ID": f"{lane.student_id} {lane.coder}", "PARTICIPANT": lane.student_id, "ANNOTATOR": lane.coder}
        tier = Xml.SubElement(document, "TIER", {"LINGUISTIC_TYPE_REF": _TYPE, **about})
        for stretch in lane.stretches:
            number += 1
            told = {
                "ANNOTATION_ID": f"a{number}",
                "CVE_REF": f"cve_{stretch.code}",
                "TIME_SLOT_REF1": slots[stretch.from_ms],
                "TIME_SLOT_REF2": slots[stretch.to_ms],
            }
            annotation = Xml.SubElement(Xml.SubElement(tier, "ANNOTATION"), "ALIGNABLE_ANNOTATION", told)
            Xml.SubElement(annotation, "ANNOTATION_VALUE").text = stretch.code


def _add_vocabulary(document: Xml.Element, codes: dict[str, str]) -> None:
    kind = {"LINGUISTIC_TYPE_ID": _TYPE, "TIME_ALIGNABLE": "true", "GRAPHIC_REFERENCES": "false"}
    Xml.SubElement(document, "LINGUISTIC_TYPE", {**kind, "CONTROLLED_VOCABULARY_REF": _VOCABULARY})
    undetermined = {"LANG_ID": "und", "LANG_DEF": _UNDETERMINED, "LANG_LABEL": "undetermined (und)"}
    Xml.SubElement(document, "LANGUAGE", undetermined)
    vocabulary = Xml.SubElement(document, "CONTROLLED_VOCABULARY", {"CV_ID": _VOCABULARY})
    Xml.SubElement(vocabulary, "DESCRIPTION", {"LANG_REF": "und"}).text = "What a student was seen to do"
    for code, meaning in codes.items():
        entry = Xml.SubElement(vocabulary, "CV_ENTRY_ML", {"CVE_ID": f"cve_{code}"})
        Xml.SubElement(entry, "CVE_VALUE", {"LANG_REF": "und", "DESCRIPTION": meaning}).text = code
