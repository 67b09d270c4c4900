"""What somebody's data looks like: roles, kinds, rhythm, leaks and oddities.

Pure functions of frames, no clock and no opinion on files; :mod:`driftwheel.initialising` asks
them and writes what they found into a pipeline file.
"""

from components.looking.choosing import Choices, Pace
from components.looking.columns import Seen
from components.looking.looks import (
    LeftOut,
    Look,
    Truth,
    look,
    naming_columns,
    plausible_label_times,
    truth_apart,
    truth_beside,
    unique_columns,
)
from components.looking.oddities import differing_claims
from components.looking.surveying import Roles, Survey, fingerprints, survey
from components.looking.targets import Delay, measure_delay
from components.looking.times import epoch_unit, span_in_words, unreadable_words
from components.looking.writing import Firsts, with_decimal_comma, writes_days

__all__ = [
    "Choices",
    "Delay",
    "Firsts",
    "LeftOut",
    "Look",
    "Pace",
    "Roles",
    "Seen",
    "Survey",
    "Truth",
    "differing_claims",
    "epoch_unit",
    "fingerprints",
    "look",
    "measure_delay",
    "naming_columns",
    "plausible_label_times",
    "span_in_words",
    "survey",
    "truth_apart",
    "truth_beside",
    "unique_columns",
    "unreadable_words",
    "with_decimal_comma",
    "writes_days",
]
