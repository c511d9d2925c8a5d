"""Java's classes made ready: used where they are whole, made where there are none, done without elsewhere."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from hub.local import kafka
from hub.local.java_classes import ClassArchive


def linked(source: str, copy: str) -> None:
    try:
        os.link(source, copy)
    except OSError:  # on another file system
        shutil.copy2(source, copy)


@pytest.fixture
def archive(tmp_path: Path) -> ClassArchive:
    """Of a Java of this test's own, as the package brings it."""
    home = kafka.java().parents[1]
    made = shutil.ignore_patterns("*.jsa")
    shutil.copytree(home, tmp_path / "java", symlinks=True, ignore=made, copy_function=linked)
    return ClassArchive(tmp_path / "java" / "bin" / "java", [])


def loaded(archive: ClassArchive, options: list[str]) -> str:
    """Where a program that ends at once took its classes from, as Java says."""
    command = [archive.java, *options, "-Xlog:class+load", "--list-modules"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def files(archive: ClassArchive) -> list[Path]:
    return list((archive.java.parents[1] / "lib" / "server").glob("kafka-*.jsa"))


def test_what_a_program_used_is_ready_for_the_next(archive: ClassArchive) -> None:
    assert archive.using() == []
    assert "shared objects file" not in loaded(archive, [])
    first = loaded(archive, archive.keeping())
    assert "shared objects file\n" in first
    assert "shared objects file (top)" not in first
    for options in (archive.using(), archive.keeping()):
        assert "shared objects file (top)" in loaded(archive, options)


def test_other_jars_have_another_file_and_what_is_of_no_use_goes(archive: ClassArchive) -> None:
    loaded(archive, archive.keeping())
    before = files(archive)
    other = ClassArchive(archive.java, [Path("kafka-of-next-year.jar")])
    assert other.using() == []
    loaded(other, other.keeping())
    assert len(files(archive)) == 1
    assert files(archive) != before


def test_a_file_that_was_cut_off_is_made_again(archive: ClassArchive) -> None:
    loaded(archive, archive.keeping())
    (file,) = files(archive)
    file.write_bytes(bytes(file.stat().st_size))
    assert archive.using() == []
    assert "(top)" not in loaded(archive, archive.keeping())
    assert "shared objects file (top)" in loaded(archive, archive.using())


def test_a_file_that_was_damaged_is_not_believed(archive: ClassArchive) -> None:
    loaded(archive, archive.keeping())
    (file,) = files(archive)
    content = bytearray(file.read_bytes())
    content[len(content) // 2 :] = os.urandom(len(content) - len(content) // 2)
    file.write_bytes(content)
    assert "(top)" not in loaded(archive, archive.keeping())


def test_where_nothing_can_be_written_java_does_without(tmp_path: Path) -> None:
    """As where the package was installed by somebody else."""
    assert ClassArchive(tmp_path / "bin" / "java", []).keeping() == []
    assert list(tmp_path.iterdir()) == []
