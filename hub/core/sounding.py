"""Names by how they sound: one key for the spellings of a name, Arabic and Latin alike. Pure.

Clerks write محمد as Mohamed, Mohammed or Muhammad, and العلوي as El Alaoui or Alaoui: vowels, doubled
letters, articles and hamzas come and go, consonants stay. So a word's key is its consonants, in letters
common to both scripts, as Soundex and its kin have it for English. Words that sound unlike may share a key:
whoever finds by one compares what was found.
"""

from __future__ import annotations

import re
from functools import lru_cache

from hub.core.matching import folded

# The whole way from a name to its keys has a number: what was kept by another number must be made anew.
SCHEME = 1

_ARABIC = str.maketrans(
    {
        "ب": "b", "پ": "b", "ت": "t", "ث": "t", "ط": "t", "ج": "j", "ح": "h", "ه": "h", "خ": "x", "د": "d",
        "ذ": "d", "ض": "d", "ظ": "d", "ر": "r", "ز": "z", "س": "s", "ص": "s", "ش": "c", "غ": "g", "ف": "f",
        "ڤ": "f", "ق": "k", "ك": "k", "گ": "k", "ڭ": "k", "ݣ": "k", "ل": "l", "م": "m", "ن": "n", "و": "u",
        "ي": "i", "ا": "a", "ع": "a", "ء": "",
    }
)  # fmt: skip
# Latin letters as French clerks write Arabic sounds, in the order in which they are replaced; a capital
# letter is one of ours that a later line must not take for its own.
_LATIN = (
    (re.compile("(?:^|(?<=l))rh|gh"), "G"),
    (re.compile("kh"), "x"),
    (re.compile("tch|sch|ch|sh"), "C"),
    (re.compile("dj"), "j"),
    (re.compile("th"), "t"),
    (re.compile("dh"), "d"),
    (re.compile("ph|v"), "f"),
    (re.compile("c(?=[eiy])"), "s"),
    (re.compile("ck|qu?|c|gu(?=[aeiy])|g"), "k"),
    (re.compile("p"), "b"),
    (re.compile("ou|w"), "u"),
    (re.compile("y"), "i"),
)
_ARTICLES = frozenset(
    {"ال", "el", "al", "l", "ech", "ed", "en", "er", "es", "et", "ez"}  # which melts: Ech-Charif, Er-Rifi
)
# Written apart from the rest of a name, or in one word with it: Abdel Kader, Ben Said, Nour Eddine.
_BEFORE = frozenset({"عبد", "abd", "abdel", "abdal", "abdul", "بن", "ben", "بل", "bel", "بو", "bou"})
_AFTER = {"الدين": "دين", "eddine": "dine", "eddin": "dine", "addine": "dine"}
_SHORT = {"md": "mohamed", "med": "mohamed", "mohd": "mohamed", "my": "moulay"}
_APOSTROPHES = re.compile("['’ʼ`´‘]")
# What folding would lose: that a word begins in إ, and not with the article, and a feminine t that is spoken.
_SPOKEN = ((re.compile(r"\bإ"), "اي"), (re.compile(r"اة\b"), "ات"))
_JOINED_ARTICLE = re.compile("^ال(?=...)|^el(?=[^eilsy]....)")
_TWICE = re.compile(r"(.)\1+")


# For those who look for somebody; a worker keeps the keys of whole names.
@lru_cache(maxsize=5_000)
def sounds(name: str) -> tuple[str, ...]:
    """The keys of a name's words, each once; a word without any consonant has none."""
    return tuple(dict.fromkeys(filter(None, map(_key, _words(name)))))


def alternatives(name: str) -> list[frozenset[str]]:
    """For each word of a name that somebody looks for, the keys under which it may be kept.

    An article may have been taken for the word's own letter: El Arbi is Larbi, too.
    """
    return [frozenset((key, f"l{key}", key.removeprefix("l") or key)) for key in sounds(name)]


def _words(name: str) -> list[str]:
    """The words, folded, without articles; what is often written in one is one."""
    text = _APOSTROPHES.sub("", name)
    for letters, spoken in _SPOKEN:
        text = letters.sub(spoken, text)
    found: list[str] = []
    goes_on = False
    for word in folded(text).split():
        if word in _ARTICLES:
            continue
        if goes_on:
            found[-1] += word
        elif found and word in _AFTER:
            found[-1] += _AFTER[word]
        else:
            found.append(_SHORT.get(word) or _JOINED_ARTICLE.sub("", word))
        goes_on = word in _BEFORE
    return found


def _key(word: str) -> str:
    """The consonants of one folded word; a semivowel counts where it begins the word as a consonant."""
    arabic = word[0] > "\u0600"
    sound = word.translate(_ARABIC) if arabic else _latin(word)
    begins = re.match("[ui]" if arabic else "[ui](?=[aeiou])", sound)
    # The feminine ending has become a plain h, which no Latin spelling must have.
    bare = _TWICE.sub(r"\1", re.sub("[aeiou]", "", sound.removesuffix("h")))
    # The article within Abdelkader melts into what follows: Abderrahim.
    bare = re.sub("^bdl(?=.)", "bd", bare)
    return (begins[0] if begins else "") + bare


def _latin(word: str) -> str:
    for letters, letter in _LATIN:
        word = letters.sub(letter, word)
    return word.lower()
