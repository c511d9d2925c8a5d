"""Moroccan and Sahrawi names: each with its Arabic form, and the ways clerks spell it.

The lists are in `name_lists/*.tsv`: French spelling, Arabic, other French spellings.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import cache
from importlib import resources
from random import Random

# Letters that clerks leave out or put for one another when they type Arabic.
_LAX_ARABIC = str.maketrans("أإآىة", "ااايه")


@dataclass(frozen=True, slots=True)
class Name:
    """One name: `french` and `arabic` are the usual forms, `variants` other French spellings."""

    french: str
    arabic: str
    variants: tuple[str, ...]

    def misspelt_french(self, rng: Random) -> str:
        """Another clerk's French spelling: a variant, without accents, or in capitals."""
        turn = rng.random()
        if self.variants and turn < 0.5:
            return rng.choice(self.variants)
        return self.french.upper() if turn < 0.8 else without_accents(self.french)

    def misspelt_arabic(self) -> str:
        """The Arabic form as typed in haste: no hamza, no dots on the last letter."""
        return self.arabic.translate(_LAX_ARABIC)


def family_names() -> tuple[Name, ...]:
    """Every family name, in the list's order."""
    return _read("family")


def given_names(sex: str) -> tuple[Name, ...]:
    """Every given name of `female` or `male`, in the list's order."""
    return _read(sex)


def without_accents(text: str) -> str:
    """`text` with its diacritics removed: `Aïcha` becomes `Aicha`."""
    decomposed = unicodedata.normalize("NFD", text)
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter))


@cache
def _read(name: str) -> tuple[Name, ...]:
    source = resources.files(__package__) / "name_lists" / f"{name}.tsv"
    rows = source.read_text(encoding="utf-8").splitlines()[1:]
    return tuple(_parse(row) for row in rows)


def _parse(row: str) -> Name:
    french, arabic, *rest = row.split("\t")
    return Name(french, arabic, tuple(rest[0].split(",")) if rest else ())
