"""What a sweep keeps of a topic, and its pace."""

from __future__ import annotations

import threading
from contextlib import closing

import pytest

from hub.ops.last_said import LastSaid, Pace, Stopped
from hub.ops.said import Said


def test_the_highest_version_of_a_key_is_its_last_word_in_whatever_order() -> None:
    with closing(LastSaid()) as said:
        for version in (3, 5, 4):
            said.put(b"a", Said(version, frozenset({b"content %d" % version})))
        word = said.pop(b"a")
        assert word is not None
        assert (word.version, word.upsert) == (5, True)
        assert word.says(b"content 5")
        assert not word.says(b"content 4")
        assert said.pop(b"a") is None


def test_any_of_several_contents_may_be_meant() -> None:
    with closing(LastSaid()) as said:
        said.put(b"a", Said(1, frozenset({b"x", b"y"}), upsert=False))
        word = said.pop(b"a")
        assert word is not None
        assert not word.upsert
        assert word.says(b"x")
        assert word.says(b"y")
        assert not word.says(b"z")


def test_what_cannot_be_read_is_the_last_word_until_another_comes() -> None:
    with closing(LastSaid()) as said:
        said.put(b"a", Said(7, frozenset({b"x"})))
        said.put(b"a", None)
        assert [(key, word.version) for key, word in said.rest()] == [(b"a", None)]
        said.put(b"a", Said(2, frozenset({b"y"})))
        assert [(key, word.version) for key, word in said.rest()] == [(b"a", 2)]
        said.drop(b"a")
        assert list(said.rest()) == []


def test_a_sweep_that_is_told_to_end_ends_at_its_next_step() -> None:
    stop = threading.Event()
    pace = Pace(per_s=1e-3, stop=stop)
    threading.Timer(0.05, stop.set).start()
    with pytest.raises(Stopped):
        pace.step(1_000)
    with pytest.raises(Stopped):
        Pace(stop=stop).step()
    with pytest.raises(Stopped):
        Pace(stop=stop).rest(1_000)
