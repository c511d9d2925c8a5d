"""Names by sound: a person is found however a clerk spelled the name, and not by everybody else's."""

from __future__ import annotations

from collections import defaultdict

import pytest

from hub.core.sounding import alternatives, sounds
from hub.local.demo.names import Name, family_names, given_names

LISTS = {"family": family_names(), "female": given_names("female"), "male": given_names("male")}


def finds(typed: str, kept: str) -> bool:
    wanted = alternatives(typed)
    return bool(wanted) and all(keys & set(sounds(kept)) for keys in wanted)


def spellings(name: Name) -> tuple[str, ...]:
    return (name.french, name.arabic, name.misspelt_arabic(), name.french.upper(), *name.variants)


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("Mohammed", "محمد"), ("Muhammad", "Mohamed"), ("Med", "محمد"), ("Abdel Kader", "عبد القادر"),
        ("Abderrahim", "عبد الرحيم"), ("abd errahim", "Abderrahim"), ("El Alaoui", "العلوي"),
        ("علوي", "El Alaoui"), ("Larbi", "العربي"), ("El Arbi", "Larbi"), ("Ech-Charif", "الشريف"),
        ("Hayat", "حياة"), ("Ilyas", "إلياس"),
        ("وفاء", "Ouafae"), ("M'Barek", "امبارك"), ("Nour Eddine", "نور الدين"), ("Ben Said", "بنسعيد"),
        ("Aïcha", "عائشه"), ("Ghazali", "Rhazali"), ("KADER FATIMA", "Fatima-Zahra Kader"),
    ],
)  # fmt: skip
def test_one_name_is_found_by_its_other_spellings(typed: str, kept: str) -> None:
    assert finds(typed, kept)


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("Fatima", "Khadija"),
        ("Karim", "Rachid"),
        ("سعيد", "Samir"),
        ("Mohamed Tazi", "Mohamed"),
        ("-", "Ali"),
    ],
)
def test_other_names_are_not(typed: str, kept: str) -> None:
    assert not finds(typed, kept)


def test_the_region_s_names_are_found_across_scripts_and_clerks() -> None:
    """All but a few pairs of spellings of one name, of some four hundred names."""
    pairs = [
        (typed, kept) for names in LISTS.values() for name in names
        for typed in spellings(name) for kept in spellings(name)
    ]  # fmt: skip
    missed = [pair for pair in pairs if not finds(*pair)]
    assert len(missed) < len(pairs) / 100, missed


def test_few_names_are_taken_for_one_another() -> None:
    for names in LISTS.values():
        alike: dict[tuple[str, ...], set[str]] = defaultdict(set)
        for name in names:
            alike[sounds(name.french)].add(name.french)
        alone = sum(len(those) for those in alike.values() if len(those) == 1)
        assert alone > 0.6 * len(names)
