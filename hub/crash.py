"""Crash points: named places between two effects, at which a fault test has the process killed or frozen.

Nothing happens at them in production: without `JISR_CRASH_FOLDER` in its environment a process asks for
nothing more than that. With it, the folder holds the test's orders as files `<point>.<number>`: whoever
passes a point takes one of its files away, and whoever takes number 0 sends itself the signal that the
file names. SIGKILL ends it as the kernel or a power cut would, with no handler or `finally` run; SIGSTOP
freezes it there. A process that comes back finds no file, and lives. Imports nothing of ours: the hub and
the connectors both pass such points.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping
from pathlib import Path

VARIABLE = "JISR_CRASH_FOLDER"
# A simulation in this process (tests/simulation) is told of each passage, and decides who dies, instead.
on_passage: Callable[[str], None] | None = None
# Orders are taken from the highest number down.
_LAST = ".0"

# What has happened by then; what follows has not. docs/faults.md lists them, tests/faults hits each.
POINTS: Mapping[str, str] = {
    "source.read": "edits are read from the agency's queue",
    "connector.sending": "messages are handed to the producer, and may be on their way",
    "source.sent": "the broker has the changes",
    "source.forgetting": "shadows are told and edits forgotten, in a transaction that is still open",
    "source.forgotten": "the agency's database has committed that",
    "source.joining": "the snapshot is complete, and the hub is not yet told where it ends",
    "intake.read": "a batch is decoded",
    "intake.finishing": "positions, state and publication are written, in a transaction that is still open",
    "intake.committed": "the store has committed them",
    "publication.sending": "batches are handed to the producer, and may be on their way",
    "publication.acknowledged": "the broker has all messages of the transaction",
    "publication.forgotten": "the store has committed that nothing is left to publish",
    "leftover.restated": "what a dead worker left is built again from current state",
    "leftover.published": "the broker has it, and the dead worker's rows are still there",
    "tombstone.sent": "the broker has tombstones, and their transaction is still open",
    "joining.admitted": "the store has committed that an agency has joined",
    "sink.polled": "deliveries are read from the inbox",
    "sink.applying": "rows and shadows are written, in a transaction that is still open",
    "sink.applied": "the agency's database has committed them, and the position is the old one",
    "sink.positioned": "the position is committed, and the hub has not heard of it",
    "sink.told": "the broker has the receipts",
    "receipts.read": "receipts are read",
    "receipts.saving": "positions and watermarks are written, in a transaction that is still open",
    "receipts.saved": "the store has committed them",
}


def crash_point(name: str) -> None:
    """Die or freeze here if a test has ordered so; `name` is one of `POINTS`."""
    if on_passage is not None:
        on_passage(name)
        return
    folder = os.environ.get(VARIABLE)
    if folder is None:
        return
    assert name in POINTS, f"no crash point is called {name}"
    orders = sorted(Path(folder).glob(f"{name}.*"))
    if orders:
        what = _take(orders[-1])
        if what is not None and orders[-1].suffix == _LAST:
            os.kill(os.getpid(), what)


def _take(order: Path) -> int | None:
    """Remove the order and return its signal; None if another process was faster."""
    try:
        what = int(order.read_text(encoding="ascii"))
        order.unlink()
    except FileNotFoundError:
        return None
    return what


def arm(folder: Path, name: str, passages: int = 1, what: signal.Signals = signal.SIGKILL) -> None:
    """Order that whoever passes `name` as the last of `passages` gets the signal there."""
    assert name in POINTS, f"no crash point is called {name}"
    for number in reversed(range(passages)):
        draft = folder / f".{name}.{number}"
        draft.write_text(str(int(what)), encoding="ascii")
        draft.rename(folder / f"{name}.{number}")


def pending(folder: Path) -> set[str]:
    """The points that nobody has been caught at yet."""
    return {order.stem for order in folder.iterdir() if not order.name.startswith(".")}
