"""Topics as they are in Kafka beside what the release says, and their messages, a bounded page at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hub.contracts.topics import TopicSpec
from hub.ops.finding import NotFound
from hub.ops.log_reader import Found, LogReader, Place
from hub.ops.message_view import Message, MessageReader, kind_of
from hub.ops.parts import Parts
from hub.ops.provision import Standing, compare_topics, is_ours, release_topics
from hub.ops.veil import Veil

PAGE = 20
# So far back is looked for a key in each partition: Kafka has no index by key.
KEY_DEPTH = 20_000


@dataclass(frozen=True)
class Difference:
    """A setting that is not as the release has it; `found` is null where Kafka knows no such setting."""

    setting: str
    found: str | None
    wanted: str


@dataclass(frozen=True)
class TopicState:
    """A topic of the release. `state`: in_order, differs or missing; `messages`: offsets between the first
    and the last one kept, of which compaction may have taken some away; `retention_ms`: null if kept for
    ever; `compacted`: the last message of each key is kept."""

    topic: str
    kind: str
    agency: str | None
    record_type: str | None
    state: str
    partitions: int | None
    partitions_wanted: int
    messages: int
    retention_ms: int | None
    compacted: bool
    differences: tuple[Difference, ...]


@dataclass(frozen=True)
class Reach:
    """What a partition holds: offsets from `first` on, `end` not included."""

    partition: int
    first: int
    end: int


@dataclass(frozen=True)
class Page:
    """Some messages of a topic, and what its partitions hold."""

    reaches: tuple[Reach, ...]
    messages: tuple[Message, ...]


class Topics:
    """The topics of the release. Blocks; raises `Retriable` while Kafka is away."""

    def __init__(self, parts: Parts, log: LogReader) -> None:
        self._parts = parts
        self._log = log

    def states(self) -> tuple[list[TopicState], list[str]]:
        """(How each stands, those that are called like ours and not needed)."""
        needed = self._needed()
        places, _ = self._log.places(spec.name for spec in needed)
        firsts, ends = self._log.beginnings(places), self._log.ends(places)
        sizes = dict.fromkeys((spec.name for spec in needed), 0)
        for place in places:
            sizes[place[0]] += ends[place] - firsts[place]
        standings, others = compare_topics(self._parts.settings.kafka, needed)
        states = [_state(one, sizes[one.spec.name]) for one in standings]
        return states, [name for name in others if is_ours(name)]

    def newest(self, topic: str, partition: int | None, veil: Veil) -> Page:
        """The newest messages, newest first, of one partition or of all."""
        places = self._places(topic, partition)
        found = [one for place in places for one in self._log.latest(place, PAGE)]
        found.sort(key=lambda one: (-one.timestamp_ms, one.partition, -one.offset))
        return self._page(topic, found[:PAGE], veil)

    def onwards(self, topic: str, partition: int, offset: int, veil: Veil) -> Page:
        """Messages of one partition from an offset on; below its first one, from that on."""
        place = self._places(topic, partition)[0]
        first = self._log.beginnings([place])[place]
        return self._page(topic, self._log.onwards({place: max(first, offset)}, PAGE), veil)

    def since(self, topic: str, partition: int | None, ms: int, veil: Veil) -> Page:
        """Messages that were appended from a moment (Unix ms) on, the oldest first."""
        # Kafka takes what is before 1970 for a word of its own.
        offsets = self._log.at_time(self._places(topic, partition), max(ms, 0))
        found = self._log.onwards(offsets, PAGE)
        found.sort(key=lambda one: (one.timestamp_ms, one.partition, one.offset))
        return self._page(topic, found[:PAGE], veil)

    def with_key(self, topic: str, partition: int | None, key: bytes, veil: Veil) -> Page:
        """The newest messages with a key, newest first, `KEY_DEPTH` back in each partition."""
        found = [
            one
            for place in self._places(topic, partition)
            for one in self._log.newest(place, [key], PAGE, KEY_DEPTH)
        ]
        found.sort(key=lambda one: (-one.timestamp_ms, one.partition, -one.offset))
        return self._page(topic, found[:PAGE], veil)

    def one(self, topic: str, partition: int, offset: int, veil: Veil) -> Message:
        """One message; raises `NotFound` where the log has none at this offset."""
        place = self._places(topic, partition)[0]
        first = self._log.beginnings([place])[place]
        found = self._log.onwards({place: offset}, 1) if offset >= first else []
        if not found or found[0].offset != offset:
            raise NotFound(
                f"{topic}[{partition}] holds no message at {offset}: it was never there, or is gone"
            )
        return MessageReader(self._parts, topic).read(found[0], veil)

    def _needed(self) -> list[TopicSpec]:
        return release_topics(self._parts.catalogue.partitions, self._parts.agreements.values())

    def _places(self, topic: str, partition: int | None) -> list[Place]:
        """Its partitions, or this one; raises `NotFound` where there is none, or no such topic."""
        if topic not in {spec.name for spec in self._needed()}:
            raise NotFound(f"no topic {topic!r} in this release: `jisr topics list` shows them")
        places, _ = self._log.places([topic])
        found = [place for place in places if partition in (None, place[1])]
        if not found:
            raise NotFound(f"Kafka has no {topic}" + ("" if partition is None else f"[{partition}]"))
        return found

    def _page(self, topic: str, found: Sequence[Found], veil: Veil) -> Page:
        places = self._places(topic, None)
        firsts, ends = self._log.beginnings(places), self._log.ends(places)
        reader = MessageReader(self._parts, topic)
        return Page(
            tuple(Reach(place[1], firsts[place], ends[place]) for place in places),
            tuple(reader.read(one, veil) for one in found),
        )


def _state(one: Standing, messages: int) -> TopicState:
    kind = kind_of(one.spec.name)
    wanted, found = one.spec.config, {**one.spec.config, **one.found}
    kept_ms = found.get("retention.ms")
    compacted = "compact" in (found.get("cleanup.policy") or "")
    return TopicState(
        topic=one.spec.name,
        kind=kind.kind,
        agency=kind.agency,
        record_type=kind.record_type,
        state="missing" if one.missing else "in_order" if one.in_order else "differs",
        partitions=one.partitions,
        partitions_wanted=one.spec.partitions,
        messages=messages,
        retention_ms=None if compacted or kept_ms is None or int(kept_ms) < 0 else int(kept_ms),
        compacted=compacted,
        differences=tuple(Difference(key, is_, wanted[key]) for key, is_ in sorted(one.settings.items())),
    )
