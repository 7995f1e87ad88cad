"""Secrets leave no trace: raw, encoded, and cut into pieces."""

from __future__ import annotations

import base64
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.authoring.masking import Masker, MaskingStream
from tidemill.errors import BadSetting

TOKEN = "s3cr t/€tøken+"


@pytest.mark.parametrize(
    "form",
    [TOKEN, quote(TOKEN), quote(TOKEN, safe=""), quote_plus(TOKEN), base64.b64encode(TOKEN.encode()).decode(),
     base64.urlsafe_b64encode(TOKEN.encode()).decode()],
)  # fmt: skip
def test_every_form_is_masked(form: str) -> None:
    masker = Masker([TOKEN])
    assert masker.text(f"before {form} after") == "before *** after"
    assert masker.data(f"x{form}y{form}".encode()) == b"x***y***"


@pytest.mark.parametrize("user", ["a:", "ab:", "abc:"])
def test_a_secret_inside_a_longer_base64_text_is_masked(user: str) -> None:
    masker = Masker(["hunter2hunter2"])
    header = base64.b64encode(f"{user}hunter2hunter2".encode()).decode()
    masked = masker.text(f"Authorization: Basic {header}")
    assert "***" in masked
    assert base64.b64encode(b"hunter2hunter2").decode()[4:12] not in masked


def test_without_secrets_nothing_is_touched() -> None:
    data = b"some bytes"
    assert Masker().data(data) is data
    assert MaskingStream(Masker()).feed(data) is data
    assert not Masker()


def test_short_values_are_refused_with_the_reason() -> None:
    with pytest.raises(BadSetting, match=r"(?s)A secret has 3 characters.*too much ordinary text"):
        Masker(["abc"])


def test_a_secret_that_begins_another_hides_the_longer_one_whole() -> None:
    masker = Masker(["abcd", "abcdefgh"])
    stream = MaskingStream(masker)
    assert stream.feed(b"xabcd") + stream.feed(b"efgh.") + stream.flush() == b"x***."


def test_ordinary_text_is_not_held_back() -> None:
    stream = MaskingStream(Masker(["hunter2hunter2"]))
    assert stream.feed(b"a line\n") == b"a line\n"


def test_a_secret_that_becomes_known_later_is_masked_from_then_on() -> None:
    masker = Masker()
    stream = MaskingStream(masker)
    assert stream.feed(b"hunter2") == b"hunter2"
    masker.add("hunter2")
    assert stream.feed(b"hunter2") + stream.flush() == b"***"


def test_a_held_beginning_that_was_none_is_let_go() -> None:
    stream = MaskingStream(Masker(["hunter2"]))
    assert stream.feed(b"the hunt") == b"the "
    assert stream.feed(b" is on") == b"hunt is on"
    assert stream.feed(b"hunt") + stream.flush() == b"hunt"


@given(
    secrets=st.lists(st.text(alphabet="abé€", min_size=4, max_size=9), min_size=1, max_size=3),
    parts=st.lists(st.text(alphabet="abé€ ", max_size=12), max_size=8),
    cut=st.integers(1, 7),
)
def test_a_stream_in_pieces_never_shows_a_secret(secrets: list[str], parts: list[str], cut: int) -> None:
    text = "".join(part + secrets[i % len(secrets)] for i, part in enumerate(parts)).encode()
    masker = Masker(secrets)
    stream = MaskingStream(masker)
    out = b"".join(stream.feed(text[at : at + cut]) for at in range(0, len(text), cut)) + stream.flush()
    assert out == masker.data(text)
    assert not any(secret.encode() in out for secret in secrets)
