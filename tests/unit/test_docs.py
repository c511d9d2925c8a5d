"""Documentation against code: what is there is described, what is linked exists, examples are in order."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path

import click
import pytest

from connectors.sql.mapping_check import check_mapping
from connectors.sql.mapping_reader import read_mapping
from connectors.sql.tables import TABLES
from hub.cli import COMMANDS, jisr
from hub.contracts.agreements import load_agreement
from hub.contracts.notices import TEXTS
from hub.contracts.records import HUB, KINDS, MATCHES, MERGES, PRIVACIES, STEWARD, Catalogue
from hub.crash import POINTS, VARIABLE
from hub.errors import ConfigurationError
from hub.local.data_folder import HOME_VARIABLE
from hub.local.jars import CACHE_VARIABLE, MIRROR_VARIABLE
from hub.local.metrics_command import PARTS, page
from hub.registry.records_page import page as records_page
from hub.settings import HubSettings

ROOT = Path(__file__).parents[2]
CATALOGUE = Catalogue.load(ROOT / "schemas" / "records")
IGNORED = {".git", ".venv", ".jisr", ".secrets", "build", "dist", "target"}


def files(*patterns: str) -> Iterator[Path]:
    """The repository's own files."""
    for pattern in patterns:
        for path in ROOT.rglob(pattern):
            inside = path.relative_to(ROOT).parts
            hidden = any(
                part in IGNORED or part.endswith(("_cache", "__pycache__", ".egg-info")) for part in inside
            )
            if path.is_file() and not hidden and inside[0] != ".hypothesis":
                yield path


def text(*names: str) -> str:
    return "\n".join((ROOT / name).read_text(encoding="utf-8") for name in names)


MARKDOWN = sorted(files("*.md"))
AGENCIES, OPERATORS, INTEGRATORS = (text(f"docs/{n}.md") for n in ("agencies", "operators", "integrators"))
DESIGN = text("docs/design.md")


def missing(words: Iterable[str], where: str) -> list[str]:
    """Words that do not stand in `where` as code: `word`, or inside a longer piece of code."""
    codes = " ".join(re.findall(r"`([^`\n]+)`", where)) + " ".join(re.findall(r"```.*?```", where, re.DOTALL))
    known = set(re.findall(r"[\w.-]+", codes))
    return sorted(word for word in words if word not in known)


def section(document: str, heading: str) -> str:
    """What stands under a heading of the second level."""
    return re.split(r"\n## ", document.split(f"\n## {heading}\n")[1])[0]


def unlisted(words: Iterable[str], where: str) -> list[str]:
    """Words that no table of `where` has as code in the first cell of a row."""
    cells = " ".join(re.findall(r"^\| (`[^|]+) \|", where, re.MULTILINE))
    return sorted(set(words) - set(re.findall(r"`([^`]+)`", cells)))


# Links


def anchors(path: Path) -> set[str]:
    """The anchors of a Markdown file's headings, as they are commonly made."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in headings}


def links(path: Path) -> list[str]:
    prose = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    return [target for target in re.findall(r"\]\(([^)\s]+)\)", prose) if "://" not in target]


@pytest.mark.parametrize("path", MARKDOWN, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_somewhere(path: Path) -> None:
    for target in links(path):
        name, _, anchor = target.partition("#")
        found = (path.parent / name).resolve() if name else path
        # A template such as <agency>.yaml is shown, not linked.
        assert found.exists(), f"{target}: nothing there"
        assert not anchor or anchor in anchors(found), f"{target}: no such heading"


def test_every_test_that_is_named_is_there() -> None:
    there = set(
        re.findall(
            r"^def (test_\w+)\(", "\n".join(p.read_text("utf-8") for p in files("test_*.py")), re.MULTILINE
        )
    )
    for path in MARKDOWN:
        named = set(re.findall(r"`(test_\w+)`", path.read_text(encoding="utf-8")))
        assert named <= there, f"{path.name}: {named - there}"


def test_every_decision_is_listed_and_tells_context_decision_and_consequences() -> None:
    folder = ROOT / "docs" / "decisions"
    decisions = sorted(folder.glob("[0-9]*.md"))
    listed = re.findall(r"^\| \[\d+\]\((.+?)\)", (folder / "README.md").read_text("utf-8"), re.MULTILINE)
    assert listed == [path.name for path in decisions]
    for number, path in enumerate(decisions, 1):
        content = path.read_text(encoding="utf-8")
        assert content.startswith(f"# {number:03}: "), path.name
        assert re.findall(r"^\*\*(\w+)\.\*\*", content, re.MULTILINE) == [
            "Context",
            "Decision",
            "Consequences",
        ]


# The rules


def test_the_design_has_every_rule_once_in_order() -> None:
    numbers = [int(number) for number in re.findall(r"^\*\*R(\d+)\. ", DESIGN, re.MULTILINE)]
    assert numbers == list(range(1, 33))


def test_every_rule_says_where_it_is_kept_and_what_holds_it() -> None:
    for rule in re.findall(r"^\*\*R\d+\. .*$", DESIGN, re.MULTILINE):
        held = "tests/" in rule.partition("*Held by*")[2]
        assert "*Kept in*" in rule or "*Not built" in rule, rule[:60]
        assert held or "*Not built" in rule, rule[:60]


def test_tests_that_name_a_rule_are_named_by_it() -> None:
    for path in (*files("test_*.py"),):
        for number in set(re.findall(r"def test_r(\d+)_", path.read_text(encoding="utf-8"))):
            rule = re.findall(rf"^\*\*R{number}\. .*$", DESIGN, re.MULTILINE)[0]
            name = str(path.relative_to(ROOT))
            assert f"[`{name}`]" in rule, f"{name} holds R{number}: say so in docs/design.md"


def test_no_rule_is_cited_that_there_is_not() -> None:
    for path in files("*.py", "*.sql", "*.md", "*.yml", "*.yaml", "*.avsc"):
        content = path.read_text(encoding="utf-8")
        cited = {int(number) for number in re.findall(r"\bR(\d{1,3})\b(?=[),;:.])", content)}
        assert cited <= set(range(1, 33)), f"{path.relative_to(ROOT)}: {sorted(cited)}"


# What can be set, run and measured


def commands() -> Iterator[tuple[str, click.Command]]:
    def walk(path: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
        if not isinstance(command, click.Group):
            yield path, command
            return
        context = click.Context(command)
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            assert child is not None
            yield from walk(f"{path} {name}", child)

    return walk("jisr", jisr)


def test_every_setting_is_described() -> None:
    options = [it for _, command in commands() for it in command.params if isinstance(it, click.Option)]
    settings = {f"JISR_{name.upper()}" for name in HubSettings.model_fields}
    settings |= {str(option.envvar) for option in options if option.envvar}
    settings |= {HOME_VARIABLE, CACHE_VARIABLE, MIRROR_VARIABLE}
    assert unlisted(settings, section(OPERATORS, "Settings")) == []


def test_no_setting_is_described_that_there_is_not() -> None:
    code = "\n".join(path.read_text(encoding="utf-8") for path in files("*.py") if "tests" not in path.parts)
    fields = {f"JISR_{name.upper()}" for name in HubSettings.model_fields}
    for name in set(re.findall(r"\bJISR_[A-Z_]+[A-Z]\b", text("README.md", "CONTRIBUTING.md") + OPERATORS)):
        assert name in fields or f'"{name}"' in code, name


def test_defaults_are_described_as_they_are() -> None:
    for name, field in HubSettings.model_fields.items():
        row = re.search(rf"^\| `JISR_{name.upper()}` \| (.+?) \|", OPERATORS, re.MULTILINE)
        assert row is not None, name
        if field.is_required():
            assert row[1] == "required"
        else:
            assert row[1] == ("none" if field.default is None else f"`{field.default}`"), name


def test_every_command_is_described() -> None:
    assert [path for path, _ in commands() if f"`{path}`" not in OPERATORS] == []
    assert [name for name in COMMANDS if f"`jisr {name}" not in OPERATORS] == []


def test_no_command_or_option_is_shown_that_there_is_not() -> None:
    known = dict(commands())
    groups = {" ".join(path.split()[:2]) for path in known}
    shown = "\n".join(path.read_text(encoding="utf-8") for path in MARKDOWN)
    for line in re.findall(r"(?:`|^\$ |entrypoint )(jisr [a-z][^`\n]*)", shown, re.MULTILINE):
        words = line.split()
        path = next((p for p in (" ".join(words[:3]), " ".join(words[:2])) if p in known), None)
        assert path is not None or " ".join(words[:2]) in groups, line
        if path is not None:
            options = {name for it in known[path].params for name in it.opts}
            for option in re.findall(r"(?<=\s)--[a-z-]+", line):
                assert option in options, f"{line}: {path} has no {option}"


def test_every_target_of_make_is_one_that_is_shown_or_listed() -> None:
    targets = set(re.findall(r"^([a-z]+):.*## ", text("Makefile"), re.MULTILINE))
    shown = "\n".join(path.read_text(encoding="utf-8") for path in MARKDOWN)
    asked = set(re.findall(r"(?:`|\$ )make ([a-z]+)", shown))
    assert asked <= targets
    assert {"demo", "test", "check", "up", "down"} <= asked


def test_the_page_of_metrics_is_made_from_the_specification() -> None:
    assert text("docs/metrics.md") == page(), "run `jisr metrics --markdown > docs/metrics.md`"


def test_the_page_of_record_types_is_made_from_their_contracts() -> None:
    assert text("docs/records.md") == records_page(CATALOGUE), "run `jisr schema page > docs/records.md`"


def test_no_metric_is_named_that_there_is_not() -> None:
    names = {one.name for table, _ in PARTS.values() for one in table}
    # Of a histogram, rules and dashboards use parts; recording rules have colons.
    shown = "\n".join(path.read_text(encoding="utf-8") for path in MARKDOWN)
    others = {"jisr_hub", "jisr_changes", *(f"jisr_{table.name}" for table in TABLES)}
    words = set(re.findall(r"`(jisr_[a-z_]+)`", shown)) - others
    assert sorted(words - names) == []


def test_every_question_of_an_operator_has_an_answer_that_there_is() -> None:
    rows = re.findall(
        r"^\| ([^|]+\?) \| (?:[^|]+ \| )?([^|]+) \| ([^|]+) \|$",
        section(OPERATORS, "Questions, and where the answer is"),
        re.MULTILINE,
    )
    assert len(rows) >= 20
    boards = {path.stem for path in (ROOT / "deploy/grafana/dashboards/en").glob("*.json")}
    alerts = text("deploy/prometheus/rules/alerts.yml")
    for question, place, metric in rows:
        assert "`" in place or "*Jisr: " in place or "server" in place, question
        assert "jisr_" in metric or "jisr:" in metric or metric.startswith("none"), question
        for name in re.findall(r"`(Jisr\w+)`", metric):
            assert f"alert: {name}\n" in alerts, name
        for board in re.findall(r"\*Jisr: (\w+)\*", place + metric):
            assert f"jisr-{board}" in boards, board


def test_no_recorded_series_is_named_that_there_is_not() -> None:
    recorded = set(re.findall(r"record: (\S+)", text("deploy/prometheus/rules/recording.yml")))
    shown = "\n".join(path.read_text(encoding="utf-8") for path in MARKDOWN)
    assert set(re.findall(r"`(jisr:[a-z0-9_:]+)", shown)) <= recorded


def test_every_crash_point_is_passed_in_one_place_and_described_there_and_in_the_documentation() -> None:
    passed = sorted(
        name
        for path in files("*.py")
        if path.relative_to(ROOT).parts[0] in ("hub", "connectors")
        for name in re.findall(r'crash_point\("([a-z.]+)"\)', path.read_text(encoding="utf-8"))
    )
    assert passed == sorted(POINTS)
    described = dict(re.findall(r"^\| `([a-z]+\.[a-z]+)` \| (.+?) \|$", text("docs/faults.md"), re.MULTILINE))
    assert described == POINTS
    assert f"`{VARIABLE}`" in text("docs/faults.md")


# Files that people write


def refused_keys(complaint: str) -> list[str]:
    """The keys that a reader names when it meets one that it does not know."""
    return re.findall(r"[a-z_]+", complaint.split("there are" if "there are" in complaint else "use")[-1])


def test_every_key_of_a_mapping_is_described(tmp_path: Path) -> None:
    unknown = "qqqqqqqqqqqq: 1"
    table = f"{{table: t, key: {{column: c, {unknown}}}, {unknown}, fields: {{f: {{column: c, {unknown}}}}}"
    mapping = (
        f"agency: tourism\n{unknown}\nrecords:\n  person:\n    {unknown}\n    tables:\n"
        f"      - {table}, joined: [{{column: c, fields: [a, b], separator: s, {unknown}}}]}}\n"
    )
    (tmp_path / "m.yaml").write_text(mapping, encoding="utf-8")
    complaints = [problem.message for problem in read_mapping(tmp_path / "m.yaml")[1]]
    lists = [complaint for complaint in complaints if complaint.startswith("unknown key")]
    assert len(lists) == 6, complaints
    keys = {key for complaint in lists for key in refused_keys(complaint)}
    # How the key of rows made here comes about is told in the row of `key`.
    assert unlisted(keys - {"tables", "generated"}, section(INTEGRATORS, "The mapping")) == []
    assert missing(keys, section(INTEGRATORS, "The mapping")) == []


def example(heading: str) -> str:
    """The YAML under a heading of docs/integrators.md."""
    return re.findall(r"```yaml\n(.*?)```", section(INTEGRATORS, heading), re.DOTALL)[0]


@pytest.mark.parametrize("where", ["", "receives.person"])
def test_every_key_of_an_agreement_is_described(where: str, tmp_path: Path) -> None:
    content = example("The agreement")
    extra = (
        content.replace("    - fields:", "    - qqqq: 1\n      fields:", 1)
        if where
        else f"{content}qqqq: 1\n"
    )
    (tmp_path / "a.yaml").write_text(extra, encoding="utf-8")
    with pytest.raises(ConfigurationError, match="unknown key 'qqqq'") as refused:
        load_agreement(tmp_path / "a.yaml", CATALOGUE)
    assert unlisted(refused_keys(str(refused.value)), section(INTEGRATORS, "The agreement")) == []


@pytest.mark.parametrize("name", [HUB, STEWARD])
def test_names_that_are_said_to_be_reserved_are(name: str, tmp_path: Path) -> None:
    assert f"`{name}`" in section(INTEGRATORS, "The agreement")
    content = example("The agreement").replace("agency: tourism", f"agency: {name}")
    (tmp_path / "a.yaml").write_text(content, encoding="utf-8")
    with pytest.raises(ConfigurationError, match="reserved"):
        load_agreement(tmp_path / "a.yaml", CATALOGUE)


def test_the_agreement_and_the_mapping_shown_are_in_order(tmp_path: Path) -> None:
    (tmp_path / "agreement.yaml").write_text(example("The agreement"), encoding="utf-8")
    (tmp_path / "mapping.yaml").write_text(example("The mapping"), encoding="utf-8")
    agreement = load_agreement(tmp_path / "agreement.yaml", CATALOGUE)
    mapping, problems = read_mapping(tmp_path / "mapping.yaml")
    wrong = [problem.message for problem in (*problems, *check_mapping(mapping, CATALOGUE, agreement))]
    # A code that the agency has no word for is the only thing that the example may leave open.
    assert [message for message in wrong if "no local code" not in message] == []


def test_the_bookkeeping_tables_are_described() -> None:
    where = section(INTEGRATORS, "What the connector puts into the agency's database")
    assert unlisted((f"jisr_{table.name}" for table in TABLES), where) == []


def test_the_attributes_of_a_record_type_are_described() -> None:
    declared = {
        name
        for path in (ROOT / "schemas" / "records").glob("*.avsc")
        for field in json.loads(path.read_text(encoding="utf-8"))["fields"]
        for name in field
    } - {"name", "type", "default"}
    where = section(INTEGRATORS, "A new record type")
    assert unlisted(declared, where) == []
    assert missing(MERGES | PRIVACIES | MATCHES | (KINDS - {"date"}), where) == []


# What travels


def test_every_record_type_is_described() -> None:
    where = section(AGENCIES, "Record types")
    assert set(re.findall(r"^\| \[`(\w+)`\]", where, re.MULTILINE)) == CATALOGUE.records.keys()


@pytest.mark.parametrize(
    ("event", "heading"),
    [
        ("change", "Saying what changed"),
        ("projection", "Holding what one may know"),
        ("receipt", "Receipts"),
        ("notice", "Notices"),
        ("dead_letter", "Dead letters"),
    ],
)
def test_every_field_of_an_event_is_described(event: str, heading: str) -> None:
    schema = json.loads(text(f"schemas/events/{event}.avsc"))
    where, names = section(AGENCIES, heading), [field["name"] for field in schema["fields"]]
    # The last two are told in a sentence, not in a table.
    assert (missing if event in ("notice", "dead_letter") else unlisted)(names, where) == []
    symbols = re.findall(r'"symbols": \[(.*?)\]', text(f"schemas/events/{event}.avsc"))
    assert missing((symbol for those in symbols for symbol in re.findall(r"\w+", those)), where) == []


def test_every_reason_of_a_notice_is_described() -> None:
    assert unlisted(TEXTS, section(AGENCIES, "Notices")) == []


def test_every_code_of_a_dead_letter_or_a_refusal_is_described() -> None:
    raised = r"""(?:SkipRecord|Unmappable|Refusal|\.later)\(\s*(?:\w+, )?["']([a-z_]+)["']"""
    codes = set()
    for path in files("*.py"):
        if path.parts[-2] in ("contracts", "lanes", "sql", "connectors"):
            content = path.read_text(encoding="utf-8")
            codes |= set(re.findall(raised, content))
            if path.name.endswith("_errors.py"):
                codes |= set(re.findall(r'": "([a-z_]+)"', content))
    # Only in a worker's log: whoever writes receipts for another's topic is not told in a dead letter.
    assert unlisted(codes - {"foreign_topic"}, AGENCIES) == []


def test_the_example_client_says_how_it_is_used() -> None:
    asked = subprocess.run(
        [sys.executable, ROOT / "docs/examples/stock_client.py", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "{say,join,read}" in asked.stdout


# The repository as a whole


def test_the_changelog_knows_this_version() -> None:
    version = tomllib.loads(text("pyproject.toml"))["project"]["version"]
    assert re.search(rf"^## {re.escape(version)}\b", text("CHANGELOG.md"), re.MULTILINE)


def test_locks_name_hashes_and_no_address() -> None:
    for lock in (ROOT / "requirements").glob("*.lock"):
        content = lock.read_text(encoding="utf-8")
        assert "://" not in content
        pinned = re.findall(r"^[a-z0-9][\w.-]*==", content, re.MULTILINE)
        hashed = re.findall(r"^[a-z0-9][^\n]*==[^\n]*\\\n    --hash=sha256:", content, re.MULTILINE)
        assert len(pinned) == len(hashed) > 0, lock.name


def test_both_locks_pin_the_same_versions() -> None:
    pins = [
        dict(re.findall(r"^([\w.-]+)==(\S+)", text(f"requirements/{name}.lock"), re.MULTILINE))
        for name in ("dev", "runtime")
    ]
    assert pins[1].items() <= pins[0].items()


# In pieces, so that this file does not hold them either.
_HOSTS = (
    ("pypi", "org"), ("pythonhosted", "org"), ("maven", "org"), ("npmjs", "org"), ("npmjs", "com"),
    ("crates", "io"), ("golang", "org"), ("debian", "org"), ("conda", "io"), ("docker", "io"), ("ghcr", "io"),
)  # fmt: skip
_PLACES = ("work/main", "work/shared", "tmp/lab", "root/.pyenv", "opt/wheels")
_FORBIDDEN = [".".join(host) for host in _HOSTS] + [f"/{place}" for place in _PLACES]


def test_no_file_names_a_registry_or_a_place_on_some_machine() -> None:
    for path in files("*"):
        try:
            content = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found = [word for word in _FORBIDDEN if word in content]
        assert found == [], f"{path.relative_to(ROOT)}: {found}"
