"""Sentences that keep how they were made, so that the console can say them in another language."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import reduce


class Phrase(str):
    """An English sentence from a template with named places, `%(agency)s`, and what stands in them.

    As text it is the sentence. Templates are messages of the console's catalogues. A value is a code or a
    phrase itself; the name of its place says of what: `agency` and
    `other` are agencies, then `purpose`, `field`, `record_type`; anything else is a word or a phrase.
    """

    template: str
    values: Mapping[str, str]

    def __new__(cls, template: str, **values: str) -> Phrase:
        made = super().__new__(cls, template % values)
        made.template, made.values = template, values
        return made

    def __deepcopy__(self, memo: object) -> Phrase:
        # Nothing of it changes; copied as a string is, it would be made of its text.
        return self


_NOTHING = ""
# Where there is no reason to give.
UNSAID = Phrase(_NOTHING)


def all_of(phrases: Iterable[Phrase]) -> Phrase:
    """One sentence of several, in their order; there is at least one."""
    return reduce(lambda one, next_one: Phrase("%(one)s; %(next)s", one=one, next=next_one), phrases)
