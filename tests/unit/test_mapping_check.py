"""A mapping file is explained: every fault at once, each with its line and column, and how to mend it."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from connectors.commands import connector
from connectors.sql.mapping_check import check_mapping, load_mapping
from connectors.sql.mapping_reader import read_mapping, suggestion
from hub.contracts.agreements import load_agreements
from hub.contracts.records import Catalogue
from hub.errors import ConfigurationError

ROOT = Path(__file__).parents[2]
CATALOGUE = Catalogue.load(ROOT / "schemas" / "records")
AGREEMENTS = load_agreements(ROOT / "deploy" / "agreements", CATALOGUE)
MAPPINGS = sorted((ROOT / "deploy" / "connectors").glob("*.yaml"))
SMALL = "agency: ads\nrecords:\n  person:\n    tables:\n      - table: t\n        key: id\n        fields:\n"


def problems(folder: Path, text: str, agency: str | None = None) -> list[tuple[int, int, str]]:
    file = folder / "mapping.yaml"
    file.write_text(text, encoding="utf-8")
    mapping, found = read_mapping(file)
    found += check_mapping(mapping, CATALOGUE, AGREEMENTS.get(agency or ""))
    return sorted((*problem.at, problem.message) for problem in found)


@pytest.mark.parametrize("file", MAPPINGS, ids=lambda path: path.stem)
def test_the_mappings_of_this_release_are_right(file: Path) -> None:
    mapping, found = read_mapping(file)
    found += check_mapping(mapping, CATALOGUE, AGREEMENTS[mapping.agency])
    assert found == []
    assert mapping.agency == file.stem


@pytest.mark.parametrize(
    ("field", "at", "message"),
    [
        ("cim: c", (8, 11), "person has no field 'cim'; did you mean 'cin'?"),
        ("cin: {colum: c}", (8, 17), "unknown key 'colum'; did you mean 'column'?"),
        ("cin: {column: c, upper: maybe}", (8, 28), "upper: true or false expected"),
        ("cin: {columns: [c]}", (8, 17), "columns: a list of two or more column names expected"),
        ("cin: ''", (8, 11), "cin: a column's name, or `column` with options, expected"),
        ("cin: 5", (8, 11), "cin: a column's name, or `column` with options, expected"),
        ("cin: id", (8, 11), "column 'id' is the key"),
        ("sex: {column: c, codes: {H: mael}}", (8, 36), "sex has no code 'mael'; did you mean 'male'?"),
        ("sex: {column: c, codes: {H: male}}", (8, 11), "sex: no local code for female"),
        (
            "sex: {column: c, codes: {H: male, M: male, F: female}}",
            (8, 45),
            "sex: 'M' and 'H' both mean 'male'; 'H' is written",
        ),
        ("birth_date: {column: c, format: '%d/%m/%y'}", (8, 11), "loses information: 1934-02-27 becomes"),
        ("birth_date: {column: c, format: '%d/%Y'}", (8, 11), "loses information"),
        ("birth_date: {column: c, format: '%q'}", (8, 11), "format '%q'"),
        ("cin: {column: c, format: '%d'}", (8, 11), "`format` is for dates"),
        ("phone: {columns: [a, b]}", (8, 11), "say where to split"),
        ("phone: {columns: [a, b, c], lengths: [4]}", (8, 11), "`lengths` needs 2 numbers"),
        ("languages: {columns: [a, b], separator: ','}", (8, 11), "cannot be split over columns"),
        ("languages: {column: c, separator: ''}", (8, 11), "an empty separator cannot part a list"),
        ("phone: {column: c, prefix: {'0': '+212', '00212': '+212'}}", (8, 11), "two local beginnings"),
        ("sex: {column: c, codes: {~: male, F: female}}", (8, 36), "local code: contract code expected"),
        ("sex: {column: c, codes: {M: male, F: [female]}}", (8, 45), "local code: contract code expected"),
        ("sex: {column: c, codes: {M: male, F:}}", (8, 45), "local code: contract code expected"),
        ("phone: {column: c, separator: 5}", (8, 30), "separator: text expected; put it in quotes"),
    ],
)
def test_a_fault_in_a_field_is_named_with_its_place(
    tmp_path: Path, field: str, at: tuple[int, int], message: str
) -> None:
    found = problems(tmp_path, f"{SMALL}          {field}\n")
    assert any((line, column) == at and message in text for line, column, text in found), found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("agency: HUB\nrecords: {}\n", "agency name 'HUB'"),
        ("agency: ads\nrecords: {}\n", "records: at least one record type expected"),
        ("agency: ads\nrecords: {persn: {tables: []}}\n", "no record type 'persn'; did you mean 'person'?"),
        ("agency: ads\nrecords: {person: {tables: 5}}\n", "person: needs `tables`"),
        ("agency: ads\nrecords: {person: {tables: [{table: t}]}}\n", "key: a name expected"),
        (
            "agency: ads\nrecords: {person: {tables: [{table: t, joins: id}]}}\n",
            "the main table has `key`, not this",
        ),
        ("agency: ads\ntimezone: Mars/Base\nrecords: {}\n", "timezone 'Mars/Base' is unknown"),
        ("agency: ads\ntimezone: Africa\nrecords: {}\n", "timezone 'Africa' is unknown"),
        (f"agency: ads\ntimezone: {'a' * 300}\nrecords: {{}}\n", "is unknown: use a name like"),
        ("agency: [ads]\nrecords: {}\n", "agency: a name expected"),
        (
            "agency: ads\nrecords: {enrolment: {tables: [{table: t, key: id, fields: {person: p}}]}}\n",
            "person refers to a person, which this file does not map",
        ),
        (
            "agency: ads\nrecords: {person: {tables: [{table: t, key: {column: id, generated: max}}]}}\n",
            "generated: 'max': only uuid can be made here",
        ),
    ],
)
def test_a_fault_in_the_file_is_explained(tmp_path: Path, text: str, message: str) -> None:
    found = problems(tmp_path, text)
    assert any(message in line for _, _, line in found), found
    assert all(line > 0 and column > 0 for line, column, _ in found)


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    text = f"{SMALL}          cim: a\n          sex: {{column: b, codes: {{H: man}}}}\n          cin: b\n"
    file = tmp_path / "m.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError) as raised:
        load_mapping(file, CATALOGUE)
    lines = str(raised.value).splitlines()
    assert [line.split(":")[1] for line in lines[1:]] == ["8", "9", "10"]


def test_one_field_twice_and_two_fields_in_one_column_are_faults(tmp_path: Path) -> None:
    text = (
        f"{SMALL}          cin: a\n          massar_code: a\n"
        "        joined:\n          - {column: n, fields: [cin, family_name_fr], separator: ' '}\n"
    )
    found = [message for _, _, message in problems(tmp_path, text)]
    assert "column 'a' already holds cin; use `joined` for both" in found
    assert "field cin is mapped twice: it is in table t already" in found


def test_what_the_agreement_does_not_cover_is_a_warning(tmp_path: Path) -> None:
    file = tmp_path / "m.yaml"
    file.write_text(SMALL + "          massar_code: m\n          cin: c\n", encoding="utf-8")
    mapping, found = read_mapping(file)
    found += check_mapping(mapping, CATALOGUE, AGREEMENTS["ads"])
    assert all(problem.warning for problem in found)
    texts = [problem.message for problem in found]
    assert "massar_code is not in the agreement of ads" in texts
    assert "person.sex is in the agreement, but no column holds it" in texts


def test_codes_are_texts_whatever_yaml_makes_of_them(tmp_path: Path) -> None:
    file = tmp_path / "m.yaml"
    codes = "{07: none, 2: primary, true: higher, no: preschool, 3.5: vocational}"
    file.write_text(f"{SMALL}          education_level: {{column: c, codes: {codes}}}\n", encoding="utf-8")
    mapping, _ = read_mapping(file)
    (field,) = mapping.records["person"].main.fields
    assert list(field.codes) == ["07", "2", "true", "no", "3.5"]


@pytest.mark.parametrize("text", ["", "- a\n", "agency: [\n", "\x00"])
def test_what_is_no_mapping_at_all_is_refused_with_the_files_name(tmp_path: Path, text: str) -> None:
    file = tmp_path / "odd.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"odd\.yaml"):
        read_mapping(file)


def test_the_command_prints_the_faults_and_fails(tmp_path: Path) -> None:
    file = tmp_path / "m.yaml"
    file.write_text(f"{SMALL}          cim: a\n", encoding="utf-8")
    options = ["--schemas", str(ROOT / "schemas"), "--agreements", str(ROOT / "deploy" / "agreements")]
    result = CliRunner().invoke(connector, ["check", str(file), *options])
    assert result.exit_code == 1
    assert f"{file}:8:11: person has no field 'cim'" in result.output
    assert "1 error(s)" in result.output


@pytest.mark.parametrize("written", ["e\u0301tat", "état\u200f", "ÉTAT", " état"])
def test_names_that_look_alike_are_told_apart(written: str) -> None:
    """`no column 'état'; did you mean 'état'?` would help nobody."""
    assert suggestion(written, ["nom", "état"]) == (
        f"; did you mean 'état'? It is '\\xe9tat' there, and {written!a} here"
    )
