"""How a command line is told apart into targets and parameters."""

from __future__ import annotations

import pytest

from tidemill.cli.options import only_flow, split_words
from tidemill.errors import BadSetting


def test_a_name_with_two_dashes_takes_the_next_word_as_its_value() -> None:
    assert split_words(["shop.py", "nightly", "--day", "2026-01-31", "--limit=5"]) == (
        ["shop.py", "nightly"],
        {"day": "2026-01-31", "limit": "5"},
    )


def test_a_name_alone_is_true_and_a_negative_number_is_a_value() -> None:
    assert split_words(["--fast", "--offset", "-3"]) == ([], {"fast": "true", "offset": "-3"})


def test_dashes_inside_a_name_are_underscores() -> None:
    assert split_words(["--full-refresh"])[1] == {"full_refresh": "true"}


def test_param_takes_values_with_equal_signs_and_commas() -> None:
    assert split_words([], ["where=a=b", "ids=1,2"])[1] == {"where": "a=b", "ids": "1,2"}


def test_after_two_dashes_alone_all_words_are_targets() -> None:
    assert split_words(["--", "--strange"]) == (["--strange"], {})


@pytest.mark.parametrize(
    ("words", "params", "what"),
    [
        ([], ["day"], "--param day has no value."),
        (["--day", "1"], ["day=2"], "The parameter 'day' is given twice."),
        (["-x"], [], "There is no option -x."),
    ],
)
def test_what_cannot_be_meant_is_refused(words: list[str], params: list[str], what: str) -> None:
    with pytest.raises(BadSetting) as caught:
        split_words(words, params)
    assert caught.value.what == what
    assert caught.value.mend


def test_one_flow_is_run_at_a_time() -> None:
    assert only_flow([]) is None
    assert only_flow(["nightly"]) == "nightly"
    with pytest.raises(BadSetting, match=r"^Several targets were given: a, b\."):
        only_flow(["a", "b"])
