from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tidemill.executors.output.marks import BEGIN, RECORD, Mark, MarkReader, announcement, mark, read_announcement, read_record, records

TOKEN = b"0123456789ab"


def parts(chunks):
    reader = MarkReader(TOKEN)
    found = [part for chunk in chunks for part in reader.feed(chunk)]
    rest = reader.rest()
    return [*found, rest] if rest else found


def flat(found):
    """Output joined, marks as (kind, payload)."""
    joined: list = []
    for part in found:
        if isinstance(part, Mark):
            joined.append((part.kind, part.payload))
        elif joined and isinstance(joined[-1], bytes):
            joined[-1] += part
        else:
            joined.append(part)
    return joined


@given(st.lists(st.one_of(st.binary(min_size=1, max_size=40), st.integers(0, 9)), max_size=12), st.integers(1, 9))
def test_output_and_marks_come_apart_however_the_stream_is_cut(pieces, step):
    stream = b"".join(piece if isinstance(piece, bytes) else mark(TOKEN, BEGIN, b"%d" % piece) for piece in pieces)
    cut = [stream[at : at + step] for at in range(0, len(stream), step)]
    assert flat(parts(cut)) == flat(parts([stream]))
    assert [part for part in flat(parts(cut)) if isinstance(part, tuple)] == [(BEGIN, b"%d" % p) for p in pieces if isinstance(p, int)]
    assert b"".join(part for part in flat(parts(cut)) if isinstance(part, bytes)) == b"".join(p for p in pieces if isinstance(p, bytes))


def test_marks_of_another_worker_are_output():
    other = mark(b"ba9876543210", BEGIN, b"1 2 3")
    assert flat(parts([other])) == [other]


def test_our_token_without_a_length_is_output():
    broken = b"\x00\x1e" + TOKEN + b"Azzzz!"
    assert flat(parts([broken])) == [broken]


@given(st.text(max_size=9000))
def test_a_long_record_travels_in_marks_that_are_written_at_once(text):
    data = text.encode(errors="replace")
    found = list(records(TOKEN, (1, 2, 3), "INFO", data))
    assert all(len(one) <= 4096 for one in found)
    payloads = [part.payload for part in parts(found) if isinstance(part, Mark) and part.kind == RECORD]
    read = [read_record(payload) for payload in payloads]
    assert b"".join(text for _, _, text, _ in read) == data
    assert [more for _, _, _, more in read] == [True] * (len(read) - 1) + [False] * bool(read)
    assert all(who == (1, 2, 3) and label == b"INFO" for who, label, _, _ in read)


def test_a_place_is_announced_by_a_number():
    (found,) = parts([announcement(TOKEN, 7, "r1", "a/b")])
    assert read_announcement(found.payload) == (7, "r1", "a/b")
