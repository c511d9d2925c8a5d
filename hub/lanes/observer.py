"""What the lanes tell of their work: implemented by the metrics, wired in the composition root."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from hub.lanes.converged import Converged
from hub.lanes.messages import OutMessage
from hub.lanes.reading import Message, Read


class Observer(Protocol):
    """Told after the fact; never blocks and never fails a batch."""

    def converged(self, read: Read, messages: list[Message], done: Converged, seconds: float) -> None:
        """A batch was committed: its messages, what they say, and what came of it."""

    def published(self, messages: Iterable[OutMessage]) -> None:
        """Messages were acknowledged by the broker."""

    def acknowledged(self, agency: str, record_type: str, committed_ms: int) -> None:
        """An agency's side committed what it was told."""

    def receipt_skipped(self, agency: str) -> None:
        """A receipt could not be used."""
