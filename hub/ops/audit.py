"""The audit trail from where deeds are done: whoever sees values in full or decides is written down first.

An entry holds no identifier of a person: its subject is a hub id, or the number of a hold or dead letter.
"""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import Collection
from dataclasses import dataclass

from hub.ops.parts import Parts
from hub.store.audit import Entry, KeptEntry, Search, entries, entries_about, note

REVEAL, FIND = "reveal", "find"
# All that is kept, by the word that the trail has for it.
ACTIONS = (
    REVEAL,
    FIND,
    "release",
    "reject",
    "same",
    "different",
    "say",
    "take_back",
    "redrive",
    "discard",
    "undo",
    "actors",
    "retire",
    "pause",
    "resume",
    "restart",
    "end-sessions",
    "make-token",
    "revoke-token",
    "gap_skipped",
)


@dataclass(frozen=True)
class Person:
    """Who does it: `name` as the person says, `account` as the machine says."""

    name: str
    account: str

    @classmethod
    def at_keyboard(cls, name: str | None = None) -> Person:
        """The person whose account runs this program, by the name given, else by the account's."""
        try:
            user = getpass.getuser()
        except (KeyError, OSError):
            # A container may run under a number that no list of users names.
            user = f"uid-{os.getuid()}"
        return cls(name or user, f"{user}@{socket.gethostname()}")

    @classmethod
    def named(cls, who: str | Person) -> Person:
        """Somebody who is known already, or the person at this keyboard by the name given."""
        return who if isinstance(who, Person) else cls.at_keyboard(who)

    def entry(
        self,
        action: str,
        subject: str,
        purpose: str,
        *,
        agency: str | None = None,
        record_type: str | None = None,
        detail: str = "",
    ) -> Entry:
        """One deed of this person."""
        return Entry(self.name, self.account, action, subject, agency, record_type, purpose, detail)


class Audit:
    """Writes and reads the trail. Blocks."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def reveal(
        self,
        who: Person,
        subject: str,
        purpose: str,
        *,
        agency: str | None = None,
        record_type: str | None = None,
    ) -> None:
        """Write down that values are about to be shown; call it before they are, as it may fail."""
        with self._parts.deciding() as tx:
            note(tx, [who.entry(REVEAL, subject, purpose, agency=agency, record_type=record_type)])

    def find(self, who: Person, subjects: Collection[str], record_type: str, detail: str) -> None:
        """Write down that a record was looked for by what it is called outside the hub.

        `subjects`: whom that led to, none if to nobody; `detail`: by which kind of name, never the name.
        """
        with self._parts.deciding() as tx:
            note(
                tx,
                [
                    who.entry(FIND, subject, "", record_type=record_type, detail=detail)
                    for subject in subjects or ("nobody",)
                ],
            )

    def about(self, subjects: Collection[str], limit: int) -> list[KeptEntry]:
        """The newest entries about any of these, the newest first."""
        with self._parts.looking() as tx:
            return entries_about(tx, subjects, limit)

    def search(self, search: Search, limit: int) -> list[KeptEntry]:
        """The newest entries that match, in the order of their making."""
        with self._parts.looking() as tx:
            return entries(tx, search, limit)
