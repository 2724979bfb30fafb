"""What the demo's people are called, talk about and say."""

from __future__ import annotations

FIRST_NAMES = (
    "Ada", "Bela", "Chidi", "Dana", "Emre", "Freya", "Goran", "Hana", "Ines", "Jonas", "Kaito", "Leyla", "Mateo",
    "Nadia", "Oskar", "Priya", "Quentin", "Rosa", "Sami", "Tove", "Umar", "Vera", "Wanjiru", "Xenia", "Yuki", "Zoe",
)  # fmt: skip
LAST_NAMES = (
    "Almeida", "Berg", "Costa", "Dubois", "Eriksen", "Farouk", "Gallo", "Haddad", "Ito", "Jensen", "Kowalski", "Lindt",
    "Moreau", "Novak", "Okafor", "Petrov", "Quispe", "Rossi", "Sato", "Tanaka", "Ueda", "Vargas", "Weiss", "Yilmaz",
)  # fmt: skip
GROUPS = (
    "Weekend hikes", "Book circle", "Flat 12", "Release crew", "Football on Thursday", "Cooking without recipes",
    "Parents of class 4b", "Film nights", "Chess, slowly", "Allotment 7", "Band rehearsal", "Lunch?",
)  # fmt: skip
OPENINGS = (
    "Good morning!", "Has anybody seen this?", "Quick question:", "By the way,", "I have been thinking:", "Hm,", "Yes,",
    "No idea, but", "Great news:", "Sorry for the late answer,", "👋", "So,", "Honestly,", "Right,",
)  # fmt: skip
MIDDLES = (
    "the train leaves at half past eight", "I left the keys with the neighbours", "the photos from Sunday are lovely",
    "we should move the meeting to Thursday", "the soup needs more lemon", "the new build passes all its tests",
    "somebody has to bring the tent", "the library closes early today", "I finally finished the third chapter",
    "the garden needs water before the weekend", "the invoice came twice", "we are six for dinner tomorrow",
    "the film starts at nine", "the ferry was cancelled because of the wind", "my phone is almost empty",
    "das Paket liegt beim Nachbarn", "on se retrouve devant la gare", "nos vemos a las siete",
    "明日の会議は十時からです", "до встречи вечером", "the bicycle is repaired again",
    "the answer was in the manual all along",
)  # fmt: skip
CLOSINGS = (
    "", "", "", "What do you think?", "Thank you!", "🎉", "See you there.", "Can you bring it?", "No hurry.", "👍",
    "Ha!", "I will let you know.", "Who is in?", "😄",
)  # fmt: skip
