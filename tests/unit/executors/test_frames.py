from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.executors.frames import TooLong, Unframer, frame
from tidemill.executors.protocol import Exited, FromSupervisor, Pong


@given(st.lists(st.integers(0, 1 << 40), max_size=20), st.integers(1, 7))
def test_messages_come_out_whole_however_the_bytes_are_cut(numbers, step):
    data = b"".join(frame(Pong(n)) for n in numbers)
    unframer = Unframer[FromSupervisor](FromSupervisor)
    found = [message for at in range(0, len(data), step) for message in unframer.feed(data[at : at + step])]
    assert found == [Pong(n) for n in numbers]


def test_a_message_keeps_all_its_fields():
    message = Exited(3, None, 9, True, 1.5, 1 << 40, "memory", "too much")
    assert Unframer[FromSupervisor](FromSupervisor).feed(frame(message)) == [message]


def test_a_frame_that_claims_too_much_is_refused_before_it_is_read():
    with pytest.raises(TooLong):
        Unframer[FromSupervisor](FromSupervisor).feed(b"\xff\xff\xff\xff")


def test_bytes_that_are_no_message_are_refused():
    with pytest.raises(ValueError):
        Unframer[FromSupervisor](FromSupervisor).feed(b"\x00\x00\x00\x01\xc1")
