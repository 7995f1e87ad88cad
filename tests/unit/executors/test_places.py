from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.executors.places import AttemptId, log_file, safe

HOME = Path("state")


@given(st.text(), st.text())
def test_no_name_leads_out_of_the_folder(run, place):
    path = log_file(HOME, AttemptId(run, place, 0, 1))
    assert path.parts[:2] == ("state", "logs")
    assert len(path.parts) == 4
    assert ".." not in path.parts
    assert all(len(part.encode()) < 255 and not part.startswith(".") for part in path.parts)


@given(st.text(), st.text())
def test_different_names_have_different_files(one, other):
    assert (safe(one) == safe(other)) == (one == other)


@pytest.mark.parametrize("name", ["load", "region[2]", "a_b-c"])
def test_ordinary_names_stay_readable(name):
    assert safe(name) == name
