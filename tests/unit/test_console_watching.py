"""Streams of events: one look for all of them, nobody waits for the slow, and there is an end to them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from hub.console import streams as console_streams
from hub.console.faults import Fault
from hub.console.streams import Streams
from hub.errors import Retriable

WITHIN_S = 120


class Scene:
    """What there is to see, and how often it was looked at."""

    def __init__(self) -> None:
        self.now: int | Exception = 1
        self.looks = 0
        self.digests = 0
        self.loop_thread = threading.get_ident()

    def look(self) -> int:
        assert threading.get_ident() != self.loop_thread, "a look blocks: the event loop must not"
        self.looks += 1
        if isinstance(self.now, Exception):
            raise self.now
        return self.now

    def digest(self, seen: int) -> str:
        self.digests += 1
        return str(seen)


def play(act: Callable[[], Awaitable[None]]) -> None:
    async def within() -> None:
        await asyncio.wait_for(act(), WITHIN_S)

    asyncio.run(within())


def begin(streams: Streams[int], scene: Scene, reader: str | None = None) -> AsyncIterator[str]:
    return streams.stream(reader, scene.digest, admitted=lambda: True).body_iterator  # type: ignore[return-value]


async def following(events: AsyncIterator[str]) -> str:
    """What is said next that is new."""
    async for line in events:
        if line.startswith("event: seen"):
            return line.split("data: ")[1].strip()
    return "the end"


def test_one_look_serves_all_and_who_is_slow_delays_nobody() -> None:
    async def act() -> None:
        scene = Scene()
        streams = Streams(scene.look, every_s=0.01)
        quick = [begin(streams, scene) for _ in range(50)]
        slow = begin(streams, scene)
        assert {await following(one) for one in [*quick, slow]} == {"1"}
        assert scene.digests < 51, "readers who are alike share what is said"
        for scene.now in (2, 3, 4):
            # `slow` is asked for nothing meanwhile: its browser takes nothing.
            assert {await following(one) for one in quick} == {str(scene.now)}
        assert await following(slow) == "4", "what was missed is not kept for it"
        before = scene.looks
        await asyncio.gather(*(following(one) for one in [*quick, slow]), change(scene))
        assert scene.looks - before < 51, "not one look for each"
        streams.end()

    async def change(scene: Scene) -> None:
        scene.now = 5

    play(act)


def test_what_cannot_be_seen_is_said_and_streams_go_on() -> None:
    async def act() -> None:
        scene = Scene()
        streams = Streams(scene.look, every_s=0.01)
        events = begin(streams, scene)
        assert await following(events) == "1"
        for scene.now in (Retriable("Kafka does not answer"), ZeroDivisionError("a fault of ours")):
            assert await following(events) == "away"
            scene.now = 7
            assert await following(events) == "7"
        streams.end()

    play(act)


def test_beyond_a_limit_a_stream_is_refused_until_another_ends() -> None:
    async def act() -> None:
        scene = Scene()
        streams = Streams(scene.look, every_s=0.01, most=2)
        opened = [streams.stream(None, scene.digest, admitted=lambda: True) for _ in range(2)]
        with pytest.raises(Fault) as refused:
            streams.stream(None, scene.digest, admitted=lambda: True)
        assert (refused.value.status, refused.value.retry_after_s) == (503, 60.0)

        async def gone() -> dict[str, str]:
            return {"type": "http.disconnect"}

        async def send(_: object) -> None:
            await asyncio.sleep(0)

        # Its browser has left before anything was said.
        await opened[0]({"type": "http", "asgi": {"version": "3.0"}}, gone, send)  # type: ignore[arg-type]
        streams.stream(None, scene.digest, admitted=lambda: True)
        with pytest.raises(Fault):
            streams.stream(None, scene.digest, admitted=lambda: True)
        streams.end()

    play(act)


def test_who_is_not_admitted_any_more_is_told_nothing_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console_streams, "ADMITTED_S", 0.0)
    answers = [True, True, False]

    async def act() -> None:
        scene = Scene()
        streams = Streams(scene.look, every_s=0.01)
        one = streams.stream(None, scene.digest, admitted=lambda: answers.pop(0))
        assert [line async for line in one.body_iterator]
        assert answers == []

    play(act)


def test_nobody_looks_while_no_stream_is_open() -> None:
    async def act() -> None:
        scene = Scene()
        streams = Streams(scene.look, every_s=0.01)
        only = streams.stream(None, scene.digest, admitted=lambda: True)
        assert await following(only.body_iterator) == "1"  # type: ignore[arg-type]
        only._leave()  # type: ignore[attr-defined]
        before = scene.looks
        await asyncio.sleep(0.1)
        assert scene.looks <= before + 1, "one that was under way"

    play(act)


def test_at_the_end_all_streams_end_and_none_begins() -> None:
    async def act() -> None:
        scene = Scene()
        streams = Streams(scene.look, every_s=1_000)
        opened = [begin(streams, scene) for _ in range(20)]
        assert {await following(one) for one in opened} == {"1"}
        waiting = [asyncio.create_task(following(one)) for one in opened]
        await asyncio.sleep(0)
        streams.end()
        assert set(await asyncio.gather(*waiting)) == {"the end"}
        with pytest.raises(Fault):
            streams.stream(None, scene.digest, admitted=lambda: True)

    play(act)
