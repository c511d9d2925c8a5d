"""What an operator wants of an agency's connector, and how the connector is: two small compacted topics.

A wish is a whole state with a number, not a step: whoever reads the latest one needs none before it, and one
that comes twice or late changes nothing (decision 039).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Target(StrEnum):
    """What is wished of: a side that can be paused by itself, or the process, which can start anew."""

    SOURCE = "source"
    SINK = "sink"
    PROCESS = "process"


SIDES = (Target.SOURCE, Target.SINK)


class State(StrEnum):
    RUNNING = "running"
    PAUSED = "paused"


@dataclass(frozen=True)
class Wish:
    """`schemas/events/control.avsc`. Number 0: nobody ever wished anything, so it runs."""

    number: int = 0
    state: State = State.RUNNING
    at_ms: int = 0
    who: str = ""
    why: str = ""

    @classmethod
    def read(cls, event: Mapping[str, Any]) -> tuple[Target, Wish]:
        """Raises KeyError, TypeError or ValueError for what is no wish of this release."""
        said = event["number"], State(event["state"]), event["at_ms"], event["who"], event["why"]
        return Target(event["target"]), cls(*said)

    def event(self, target: Target) -> dict[str, Any]:
        return {**vars(self), "target": target}


@dataclass(frozen=True)
class Condition:
    """`schemas/events/state.avsc`: how something is, and the number of the wish that it follows."""

    number: int
    state: State
    since_ms: int
    problem: str = ""

    @classmethod
    def read(cls, event: Mapping[str, Any]) -> tuple[Target, Condition]:
        """Raises KeyError, TypeError or ValueError for what is no condition of this release."""
        said = event["number"], State(event["state"]), event["since_ms"], event["problem"]
        return Target(event["target"]), cls(*said)

    def event(self, target: Target) -> dict[str, Any]:
        return {**vars(self), "target": target}
