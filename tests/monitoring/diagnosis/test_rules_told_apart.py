"""Diagnosis reads the rules that checks wrote: one wording, not two."""

from components.checks import rules
from monitoring.diagnosis import arrivals, observed


def test_diagnosis_knows_an_absent_column_by_the_words_of_the_checks() -> None:
    assert arrivals.ABSENT is rules.ABSENT


def test_diagnosis_knows_the_other_rules_by_how_they_begin() -> None:
    assert rules.ONE_ROW.startswith(observed.ONE_ROW)
    assert rules.A_TIME.startswith(arrivals._A_TIME)
    assert (rules.A_NUMBER, rules.TEXT) == arrivals._KIND
