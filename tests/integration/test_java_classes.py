"""Java's classes made ready: used where they are whole, made where there are none, done without elsewhere."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from hub.local import java_classes, kafka


def linked(source: str, copy: str) -> None:
    try:
        os.link(source, copy)
    except OSError:  # on another file system
        shutil.copy2(source, copy)


@pytest.fixture
def java(tmp_path: Path) -> Path:
    """A Java of this test's own, as the package brings it."""
    home = kafka.java().parents[1]
    made = shutil.ignore_patterns("*.jsa")
    shutil.copytree(home, tmp_path / "java", symlinks=True, ignore=made, copy_function=linked)
    return tmp_path / "java" / "bin" / "java"


def loaded(java: Path, options: list[str]) -> str:
    """Where a program that ends at once took its classes from, as Java says."""
    command = [java, *options, "-Xlog:class+load", "--list-modules"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_what_a_program_used_is_ready_for_the_next(java: Path) -> None:
    assert java_classes.using(java) == []
    assert "shared objects file" not in loaded(java, [])
    first = loaded(java, java_classes.keeping(java))
    assert "shared objects file\n" in first
    assert "shared objects file (top)" not in first
    for options in (java_classes.using(java), java_classes.keeping(java)):
        assert "shared objects file (top)" in loaded(java, options)


def test_a_file_that_was_cut_off_is_made_again(java: Path) -> None:
    loaded(java, java_classes.keeping(java))
    archive = java.parents[1] / "lib" / "server" / "kafka.jsa"
    archive.write_bytes(bytes(archive.stat().st_size))
    assert "(top)" not in loaded(java, java_classes.keeping(java))
    assert "shared objects file (top)" in loaded(java, java_classes.using(java))


def test_a_file_that_was_damaged_is_not_believed(java: Path) -> None:
    loaded(java, java_classes.keeping(java))
    archive = java.parents[1] / "lib" / "server" / "kafka.jsa"
    content = bytearray(archive.read_bytes())
    content[len(content) // 2 :] = os.urandom(len(content) - len(content) // 2)
    archive.write_bytes(content)
    assert "(top)" not in loaded(java, java_classes.keeping(java))


def test_where_nothing_can_be_written_java_does_without(tmp_path: Path) -> None:
    """As where the package was installed by somebody else."""
    assert java_classes.keeping(tmp_path / "bin" / "java") == []
    assert list(tmp_path.iterdir()) == []
