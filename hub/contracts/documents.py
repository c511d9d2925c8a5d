"""Reading the YAML files that people write: agreements and mappings."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.reader import ReaderError
from ruamel.yaml.resolver import VersionedResolver

from hub.errors import ConfigurationError

# The largest of ours has a fiftieth. Reading costs some 4 µs for each byte, even of a comment.
MAX_BYTES = 1_000_000

# No database takes them in a name or a text, and no pair of escapes makes a letter of half a one.
_NO_TEXT = re.compile("[\0\ud800-\udfff]")
_WHOLE = re.compile("0|-?[1-9][0-9]*")
_TAG = "tag:yaml.org,2002:"
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_HINTS = (
    (r"'\t'", "indent with spaces, not with tabs"),
    ("duplicate key", "keep one of the two"),
    ("<block end>", "what belongs together begins in the same column"),
    ("<document start>", "what belongs together begins in the same column"),
    ("another document", "keep one, without lines of ---"),
    ("mapping values", "look at the line before, too: a key is followed by a colon and a space"),
    ("':'", "a key is followed by a colon and a space"),
    ("end of stream", "what is opened by a quote or a bracket must be closed"),
)


def read_document(path: Path) -> Any:
    """What a YAML file holds, with the place of each key; None for an empty one. To be read, never changed.

    Raises `ConfigurationError` with file, line and column for what is no YAML, no UTF-8, or too large.
    """
    text = _text(path)
    try:
        document, unfit = _parsed(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        at = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else str(path)
        # Of a key that is there twice it would show all that stands under it.
        problem = (error.problem or "").partition(" with value ")[0]
        said = ", ".join(filter(None, (error.context, problem)))
        hint = next((f"; {hint}" for sign, hint in _HINTS if sign in (error.problem or "")), "")
        raise ConfigurationError(f"{at}: not readable as YAML: {said}{hint}") from None
    except ReaderError as error:
        at = _place(path, text[: error.position])
        raise ConfigurationError(f"{at}: a control character; remove it") from None
    except RecursionError:
        raise ConfigurationError(f"{path}: nested too deeply: see that each bracket is closed") from None
    except (YAMLError, ValueError) as error:
        # A day like 2030-02-30: it comes without a place.
        raise ConfigurationError(
            f"{path}: not readable as YAML: {error}; put in quotes what looks like a date and is none"
        ) from None
    for line, column in unfit:
        raise ConfigurationError(f"{path}:{line}:{column}: \\0, or half a letter like \\ud800, is no text")
    return document


class _Resolver(VersionedResolver):
    """Only whole numbers are numbers: codes like 01, 1.10 or 1e3 are what is written in a database's text."""

    def resolve(self, kind: Any, value: Any, implicit: Any) -> Any:
        tag = super().resolve(kind, value, implicit)
        number = str(tag) == f"{_TAG}float" or (str(tag) == f"{_TAG}int" and not _WHOLE.fullmatch(value))
        return super().resolve(kind, value, (False, True)) if number and kind is ScalarNode else tag


@lru_cache(maxsize=64)
def _parsed(text: str) -> tuple[Any, tuple[tuple[int, int], ...]]:
    """(the document, where it holds what is no text).

    Kept, since a worker's parts read their agreements each for itself, and that takes 0.1 s each time.
    """
    yaml = YAML(typ="rt")
    yaml.Resolver = _Resolver
    document = yaml.load(text)
    if "\\" not in text:
        return document, ()
    return document, tuple(_unfit(YAML(typ="rt").compose(text)))


def _unfit(root: Node) -> Iterator[tuple[int, int]]:
    """Line and column of each text that is none. A node that others refer to is looked at once."""
    left, seen = [root], set()
    while left:
        node = left.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, ScalarNode) and _NO_TEXT.search(node.value):
            yield node.start_mark.line + 1, node.start_mark.column + 1
        elif isinstance(node, SequenceNode):
            left += node.value
        elif isinstance(node, MappingNode):
            left += [part for pair in node.value for part in pair]


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror}") from None
    if len(raw) > MAX_BYTES:
        raise ConfigurationError(f"{path}: more than {MAX_BYTES:,} bytes; is it another file?")
    if raw.startswith(_UTF_16):
        raise ConfigurationError(f"{path}:1:1: written in UTF-16; save it as UTF-8")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        at = _place(path, raw[: error.start].decode())
        raise ConfigurationError(f"{at}: not written in UTF-8; save it as UTF-8") from None


def _place(path: Path, before: str) -> str:
    """File, line and column of what follows `before`."""
    return f"{path}:{before.count(chr(10)) + 1}:{len(before) - before.rfind(chr(10))}"
