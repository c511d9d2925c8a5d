"""What people save wrongly as YAML is named by file, line and column, with how to mend it."""

from __future__ import annotations

from pathlib import Path

import pytest

from hub.contracts.documents import MAX_BYTES, read_document
from hub.errors import ConfigurationError


@pytest.mark.parametrize(
    ("content", "place", "said"),
    [
        (b"a:\n\tb: c\n", ":2:1: ", "indent with spaces, not with tabs"),
        (b"a:\n  b: c\n  b: d\n", ":3:3: ", "keep one of the two"),
        (b"a:\n  - b: c\n    d: e\n   f: g\n", ":4:4: ", "begins in the same column"),
        (b"a:\n  b:c\n  d: e\n", ":3:4: ", "a key is followed by a colon and a space"),
        (b"a:\n  b: c\n  d:e\n", ":4:1: ", "a key is followed by a colon and a space"),
        (b"a: 'b\n", ":2:1: ", "what is opened by a quote or a bracket must be closed"),
        (b"a: b\n---\na: c\n", ":2:1: ", "keep one, without lines of ---"),
        (b"a: b\nc: d\0\n", ":2:5: ", "a control character; remove it"),
        (b"a: b\nc: 2030-02-30\n", ": ", "put in quotes what looks like a date"),
        ("a: é\nb: Laâyoune\n".encode("cp1252"), ":1:4: ", "save it as UTF-8"),
        ("a: b\nc: عيون\n".encode("cp1256"), ":2:4: ", "save it as UTF-8"),
        ("a: b\n".encode("utf-16"), ":1:1: ", "written in UTF-16; save it as UTF-8"),
        (b" a: b\nc: d\n", ":2:1: ", "begins in the same column"),
        (b'a: b\nc: {d: ["\\ud800"]}\n', ":2:9: ", "is no text"),
        (b'a: b\n"c\\0": d\n', ":2:1: ", "is no text"),
        (b"a: " + b"[" * 400 + b"]" * 400, ": ", "nested too deeply"),
        (b"a: b #" + b"x" * MAX_BYTES, ": ", "is it another file?"),
    ],
)
def test_what_is_no_yaml_is_named_with_its_place(
    tmp_path: Path, content: bytes, place: str, said: str
) -> None:
    path = tmp_path / "ads.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError) as refusal:
        read_document(path)
    assert str(refusal.value).startswith(f"{path}{place}")
    assert said in str(refusal.value)
    assert "<unicode string>" not in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("name", [".", "missing.yaml"])
def test_what_is_no_file_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigurationError, match=r"cannot be read: (Is a directory|No such file)"):
        read_document(tmp_path / name)


@pytest.mark.parametrize("content", ["a: ب\r\n", "\ufeffa: ب\n"])
def test_an_editors_ends_of_lines_and_mark_of_order_are_no_fault(tmp_path: Path, content: str) -> None:
    path = tmp_path / "ads.yaml"
    path.write_bytes(content.encode())
    assert read_document(path) == {"a": "ب"}


def test_a_key_that_is_there_twice_does_not_show_all_that_stands_under_it(tmp_path: Path) -> None:
    path = tmp_path / "ads.yaml"
    path.write_text("a: {secret: b}\na: {secret: c}\n", encoding="utf-8")
    with pytest.raises(ConfigurationError, match='duplicate key "a"; keep one of the two'):
        read_document(path)


def test_only_whole_numbers_are_numbers(tmp_path: Path) -> None:
    """Codes are what is written: 1.10 is not 1.1, and 01 beside 1 is another one."""
    path = tmp_path / "ads.yaml"
    codes = ["01", "1", "1.10", "1.1", "1e3", "0x2", "0o7", "1_0", "+5", ".5", ".inf"]
    path.write_text("".join(f"{code}: {code}\n" for code in codes) + "-3: [0, 12]\n", encoding="utf-8")
    document = read_document(path)
    assert [str(key) for key in document] == [*codes, "-3"]
    assert [value for value in document.values() if isinstance(value, int)] == [1]
    assert document[-3] == [0, 12]
