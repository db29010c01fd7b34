"""What the dashboard says, in plain words. Records in, texts out: it knows neither Streamlit nor the store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from monitor.schema import UNSURE, Presence

STALE_S = 5.0
"""A label older than this is shown greyed."""

PRESENCE_WORDS: Mapping[Presence, str] = {
    Presence.VISIBLE: "in view",
    Presence.CAMERA_OFF: "camera off",
    Presence.PICTURE_STILL: "picture still",
    Presence.UNIDENTIFIED: "name not read",
    Presence.OPTED_OUT: "opted out",
    Presence.ABSENT: "left",
}
UNSURE_WORD = "unsure"


def room_sentence(counts: Sequence[tuple[str, int]], total: int) -> list[str]:
    """The room in one sentence, a part per label: "14 of 22 at the screen", "3 at paper", "2 elsewhere".

    Args:
        counts: (phrase of a label, students there now) in the rubric's order.
        total: students in the room, judged or not.

    Returns:
        As many parts as labels; a single part when there is nobody to count.
    """
    if total == 0:
        return ["Nobody in view"]
    if not any(number for _, number in counts):
        return [f"{total} in the room, nobody read yet"]
    first, *others = counts
    return [f"{first[1]} of {total} {first[0]}", *(f"{number} {phrase}" for phrase, number in others)]


def aside_sentence(counts: Mapping[str, int]) -> str:
    """The students that the main sentence leaves out: "1 unsure, 2 cameras off"; empty if none.

    Args:
        counts: students per state, of "unsure" and the presences.
    """
    words = {
        UNSURE: ("unsure", "unsure"),
        Presence.CAMERA_OFF: ("camera off", "cameras off"),
        Presence.PICTURE_STILL: ("picture still", "pictures still"),
        Presence.OPTED_OUT: ("opted out", "opted out"),
        "waiting": ("not read yet", "not read yet"),
        "lost": ("out of view", "out of view"),
        Presence.ABSENT: ("left the room", "left the room"),
    }
    return ", ".join(
        f"{counts[key]} {one if counts[key] == 1 else many}" for key, (one, many) in words.items() if counts.get(key)
    )


def age_words(age_s: float | None) -> str:
    """How old a label is: "now", "7 s ago", "3 min ago", "2 h ago"; empty when unknown."""
    if age_s is None:
        return ""
    if age_s < 1.5:
        return "now"
    if age_s < 100:
        return f"{age_s:.0f} s ago"
    if age_s < 5400:
        return f"{age_s / 60:.0f} min ago"
    return f"{age_s / 3600:.0f} h ago"


def duration_words(seconds: float) -> str:
    """A length of time: "0:42", "48:05", "1:12:00"."""
    whole = max(0, round(seconds))
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def started_words(started_at: datetime | None) -> str:
    """When a lecture began, on the clock of this machine: "Sun 22 Nov, 10:52"; empty when not known."""
    if started_at is None:
        return ""
    local = started_at.astimezone()
    return f"{local:%a} {local.day} {local:%b}, {local:%H:%M}"


def initials(name: str) -> str:
    """One or two letters that stand for a person without a picture: "AL" of Ada Lovelace, "7" of s07."""
    words = [word for word in name.split() if any(c.isalnum() for c in word)]
    if not words:
        return "?"
    if len(words) == 1 and words[0][:1].lower() == "s" and words[0][1:].isdigit():
        return str(int(words[0][1:]))
    letters = [next(c for c in word if c.isalnum()) for word in words]
    chosen = letters[:1] if len(letters) == 1 else [letters[0], letters[-1]]
    return "".join(chosen).upper()


def source_words(source: str) -> str:
    """What was watched, short enough for a title: the file's name, or "Camera 0"."""
    if source == "demo":
        return "Demo lecture"
    if source.startswith("webcam:"):
        return f"Camera {source.removeprefix('webcam:')}"
    return source.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1] or source


def model_words(model_id: str) -> str:
    """A model's id cut to what tells it apart at a glance."""
    return model_id if len(model_id) <= 32 else f"{model_id[:21]}…{model_id[-10:]}"
