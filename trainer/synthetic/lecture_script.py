"""Who takes part in a rendered lecture, what is said and what slides say: all invented. It draws and times nothing."""

from __future__ import annotations

from trainer.synthetic.slides import Slide

CAST: tuple[tuple[str, str, int], ...] = (
    ("Amara Okafor", "female", 6),
    ("Lukas Brandt", "male", 2),
    ("Mei Tanaka", "female", 2),
    ("Diego Ramos", "male", 4),
    ("Zoë Laurent", "female", 1),
    ("Ravi Menon", "male", 5),
    ("Leila Haddad", "female", 3),
    ("Kwame Boateng", "male", 6),
    ("Ingrid Solberg", "female", 1),
    ("Tomás Silva", "male", 3),
    ("Priya Nair", "female", 5),
    ("Jonas Keller", "male", 1),
    ("Camila Torres", "female", 4),
    ("Yusuf Demir", "male", 3),
    ("Ewa Nowicka", "female", 2),
    ("Malik Johnson", "male", 5),
    ("Noor Rahman", "female", 4),
    ("Sven Dahl", "male", 2),
    ("Thandi Mokoena", "female", 6),
    ("Minh Pham", "male", 3),
    ("Olivia Hart", "female", 2),
    ("Bilal Aziz", "male", 4),
    ("Keala Kahale", "female", 5),
    ("Paul Adeyemi", "male", 6),
)
"""Name, gender and skin tone (as in `people`); all invented."""

SENTENCES = (
    "Let us look at the second example on the slide.",
    "Why does the leaf bend towards the lamp?",
    "Because the cells on the dark side grow longer.",
    "Please write that down in your own words.",
    "The same happens with roots, only the other way round.",
    "Can we go back one step? I lost the thread.",
    "Of course. The hormone moves away from the light.",
    "So it collects on the shaded side?",
    "Exactly, and there it makes the walls softer.",
    "Take one minute and draw the stem from above.",
    "I have drawn it, but mine looks like an egg.",
    "An egg is fine. Where does the light come from?",
    "From the left, so the right side must be longer.",
    "Well done. Next week we measure it with real seedlings.",
)
"""A lesson, cue by cue."""

SHARING = "I am sharing my screen now. Can you all see the slide?"
"""What is said when the shared screen comes."""

SLIDES = (
    Slide(
        "Why do plants bend?", ("A lamp stands on the left", "Two days later the stem leans left", "What has grown?")
    ),
    Slide(
        "Two sides of a stem",
        ("Light side: cells stay short", "Dark side: cells grow longer", "The longer side pushes"),
        "circle",
    ),
    Slide(
        "What we measured",
        ("Bend in degrees, four trays", "Tray three had the brightest lamp", "Tray four was watered less"),
        "bars",
    ),
    Slide(
        "How fast does it go?",
        ("Nothing in the first hour", "Then quickly", "Slower as the tip faces the lamp"),
        "curve",
    ),
    Slide(
        "For next week",
        ("Sow ten seeds on wet paper", "Keep half of them in a box with one window", "Draw what you see each morning"),
    ),
)
"""The shared screen, slide by slide."""
