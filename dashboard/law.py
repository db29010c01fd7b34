"""What a person is told before the first lecture, and what students are to be told. Words only; not legal advice."""

from __future__ import annotations

ACKNOWLEDGED = (
    "The students of my lectures have been told that this monitor runs, what it keeps, and how to be left out.",
    "I do not use it for grading, discipline or attendance. It shows where faces point, which is not what people "
    "think, feel or learn, and it makes mistakes.",
    "I have checked what holds where I teach. In the European Union, software that infers emotions of people in "
    "education is forbidden, and inferred attention was named among the examples; in the United States, records of "
    "students and pictures of faces are protected by federal and by some state laws.",
)

NOTICE = """# About the classroom monitor

In this lecture a computer program looks at the video picture and estimates, about once a second, where each person's
face points: to the screen, to paper, or elsewhere.

- It runs on the lecturer's own computer. Nothing is sent anywhere.
- It does not judge feelings, interest or performance, and it is often wrong about single moments.
- It is not used for grades, discipline or attendance.
- What is kept: {kept}
- Pictures: {pictures}
- You can be left out at any time, without giving a reason and without any disadvantage. Tell the lecturer: from then on
  you are not judged, and what was stored about you is deleted if you wish.

Questions, or a wish to see or delete what is stored about you: {contact}
"""


def notice_text(*, room_only: bool, pictures_days: float, training_days: float, may_train: bool, contact: str) -> str:
    """The notice for students, as the settings now are."""
    kept = (
        "counts for the whole room. No one can be looked up."
        if room_only
        else "these estimates under a pseudonym, and your name if it can be read in the picture."
    )
    pictures = "none are kept." if room_only else f"small cut-outs are deleted after {_days(pictures_days)}."
    if not room_only and may_train:
        pictures += f" A few are labelled by people to improve the program and deleted after {_days(training_days)}."
    return NOTICE.format(kept=kept, pictures=pictures, contact=contact.strip() or "your lecturer")


def _days(days: float) -> str:
    return "a day" if days == 1 else f"{days:g} days"
