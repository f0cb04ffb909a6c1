"""Frames: whatever bytes come, in whatever pieces, they are frames or a reason to close."""

from __future__ import annotations

import struct
from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioflow import errors
from trioflow.client.link_frames import LONGEST_FRAME, Decoder, Frame, Kind, encode, error_from, refusal
from trioflow.errors import AmbiguousRun, LinkClosed, MessageTooLarge, TrioflowBug, TrioflowError

frames = st.builds(
    Frame,
    st.sampled_from(Kind),
    st.integers(0, 2**53),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    st.sampled_from([b"null", b"{}", b'"a\\nb"', b"[1,2]", b'{"x":"' + b"y" * 300 + b'"}']),
)

OURS = [
    error for error in vars(errors).values() if isinstance(error, type) and issubclass(error, TrioflowError)
]


def pieces(data: bytes, sizes: list[int]) -> list[bytes]:
    cuts = sorted({0, len(data), *(size % (len(data) + 1) for size in sizes)})
    return [data[start:end] for start, end in pairwise(cuts)]


@given(st.lists(frames, max_size=6), st.lists(st.integers(0, 10_000), max_size=20))
def test_frames_come_back_as_they_were_however_the_bytes_are_cut(sent, sizes):
    decoder = Decoder()
    data = b"".join(map(encode, sent))

    got = [frame for piece in pieces(data, sizes) for frame in decoder.feed(piece)]

    assert got == sent
    assert not decoder.amid


@given(st.lists(frames, max_size=3), st.binary(max_size=40), st.integers(0, 400))
def test_bytes_that_are_no_frames_are_waited_for_or_a_reason_to_close(sent, noise, place):
    data = b"".join(map(encode, sent))

    with suppress(LinkClosed):
        assert all(isinstance(frame, Frame) for frame in Decoder().feed(data[:place] + noise + data[place:]))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"GET / HTTP/1.1\r\n", f"a frame of 1195725856 bytes was announced; {LONGEST_FRAME} are the most"),
        (b"\xff\xff\xff\xff", f"a frame of 4294967295 bytes was announced; {LONGEST_FRAME} are the most"),
        (b"\0\0\0\0", "a frame cannot be read: "),
        (b"\0\0\0\x04null", "a frame cannot be read: TypeError"),
        (b"\0\0\0\x02{}", "a frame cannot be read: KeyError('kind')"),
        (b"\0\0\0\x03\xff\xfe\n", "a frame cannot be read: JSONDecodeError"),
    ],
)
def test_the_reason_says_what_is_wrong(data, reason):
    with pytest.raises(LinkClosed) as caught:
        Decoder().feed(data)

    assert str(caught.value).startswith(reason)


def test_a_frame_of_unknown_kind_is_a_reason_to_close():
    head = b'{"id":1,"kind":"shout","name":""}'

    with pytest.raises(LinkClosed, match="'shout' is not a valid Kind"):
        Decoder().feed(struct.pack("!I", len(head)) + head)


def test_a_decoder_knows_that_it_is_amid_a_frame():
    decoder = Decoder()

    assert decoder.feed(encode(Frame(Kind.REPLY, 1))[:-1]) == []
    assert decoder.amid


def test_a_frame_may_be_as_long_as_the_limit_and_not_longer():
    frame = Frame(Kind.REPLY, 1, body=b"1" * 100)
    length = len(encode(frame)) - 4

    assert Decoder(length).feed(encode(frame, length)) == [frame]
    with pytest.raises(
        MessageTooLarge, match=f"A message of {length} bytes does not fit: {length - 1} bytes"
    ):
        encode(frame, length - 1)
    with pytest.raises(LinkClosed):
        Decoder(length - 1).feed(encode(frame))


@pytest.mark.parametrize("class_", OURS, ids=lambda class_: class_.__name__)
def test_every_error_of_ours_travels_as_itself(class_):
    error = class_.__new__(class_, "No run 'äöü' at \ud800 all.")

    travelled = error_from(refusal(7, error))

    assert type(travelled) is class_
    assert str(travelled) == "No run 'äöü' at ? all."


def test_an_error_that_makes_its_message_itself_keeps_it():
    error = AmbiguousRun("ab", ["ab1", "ab2"])

    assert str(error_from(refusal(1, error))) == str(error)


@pytest.mark.parametrize("name", ["KeyError", "annotations", "TYPE_CHECKING", "Nobody", "__name__"])
def test_an_error_that_is_none_of_ours_is_a_bug(name):
    error = error_from(Frame(Kind.REFUSAL, 1, name, b'"why"'))

    assert (type(error), str(error)) == (TrioflowBug, f"{name}: why")
