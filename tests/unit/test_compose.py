"""docker-compose.yml against the code that it starts: there is no container engine where tests run."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner
from ruamel.yaml import YAML

from hub.cli import jisr
from hub.contracts.agreements import load_agreements
from hub.contracts.kafka_connection import MEANINGS, connection
from hub.contracts.records import Catalogue
from hub.errors import ConfigurationError
from hub.settings import HubSettings

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = YAML(typ="safe").load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILE = (ROOT / "deploy" / "docker" / "Dockerfile").read_text(encoding="utf-8")
ENTRYPOINT = (ROOT / "deploy" / "docker" / "entrypoint").read_text(encoding="utf-8")
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
OURS = {name: service for name, service in SERVICES.items() if service["image"].startswith("jisr-hub")}
CONNECTORS = {name: it for name, it in OURS.items() if it["command"][:2] == ["jisr", "connector"]}

# Settings that the entrypoint reads from a file: JISR_X_FILE → JISR_X.
FROM_FILE = {f"{name}_FILE": name for name in re.findall(r"JISR_\w+", ENTRYPOINT.split("; do")[0])}


def variables(service: dict[str, Any]) -> set[str]:
    """The settings that a service's command gets."""
    return {FROM_FILE.get(name, name) for name in service.get("environment", {})}


def told(command: list[str]) -> tuple[set[str], set[str]]:
    """(settings that a command knows, settings that it cannot do without)."""
    known, required = known_options(command)
    if command[1] not in ("hub", "console"):
        return known, required
    fields = HubSettings.model_fields
    names = {name: f"JISR_{name.upper()}" for name in fields}
    needed = {names[name] for name, field in fields.items() if field.is_required()}
    return known | set(names.values()), required | needed


def known_options(command: list[str]) -> tuple[set[str], set[str]]:
    assert command[0] == "jisr"
    found: click.Command = jisr
    for word in command[1:]:
        if isinstance(found, click.Group):
            child = found.get_command(click.Context(found), word)
            assert child is not None, f"no command {' '.join(command)}"
            found = child
    options = [it for it in found.params if isinstance(it, click.Option) and it.envvar]
    return {str(it.envvar) for it in options}, {str(it.envvar) for it in options if it.required}


@pytest.mark.parametrize("name", OURS)
def test_each_part_is_told_what_it_needs_and_nothing_that_it_does_not_know(name: str) -> None:
    known, required = told(OURS[name]["command"])
    assert variables(OURS[name]) <= known
    assert required <= variables(OURS[name])


@pytest.mark.parametrize("name", [name for name, it in OURS.items() if "JISR_BOOTSTRAP" in variables(it)])
def test_each_part_that_speaks_to_kafka_says_how(name: str) -> None:
    environment = OURS[name]["environment"]
    given = {setting: environment.get(f"JISR_{setting.upper()}") for setting in MEANINGS}
    assert connection(environment["JISR_BOOTSTRAP"], given).protocol


def test_the_topology() -> None:
    commands = [tuple(service["command"][:3]) for service in OURS.values()]
    assert commands.count(("jisr", "registry", "serve")) == 1
    workers = [
        it["environment"]["JISR_WORKER_NAME"] for it in OURS.values() if it["command"] == ["jisr", "hub"]
    ]
    assert len(workers) == len(set(workers)) == 2
    agreements = load_agreements(ROOT / "deploy/agreements", Catalogue.load(ROOT / "schemas/records"))
    for service in CONNECTORS.values():
        mapping = ROOT / service["command"][3]
        assert mapping.is_file()
        assert mapping.stem in agreements


@pytest.mark.parametrize("name", SERVICES)
def test_images_are_pinned(name: str) -> None:
    image, _, tag = SERVICES[name]["image"].partition(":")
    assert re.match(r"v?\d+\.\d+", tag), f"{image}: pin a version"
    if name in OURS:
        assert tag == VERSION


def test_the_image_is_built_from_what_is_here() -> None:
    assert all(
        re.search(r":\d+\.\d+", image) for image in re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    )
    for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE):
        for source in line.split()[:-1]:
            assert (ROOT / source).exists(), source


@pytest.mark.parametrize("name", SERVICES)
def test_nothing_runs_with_more_rights_than_it_needs(name: str) -> None:
    service = SERVICES[name]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    # Kafka's image writes its own configuration when it starts.
    assert service.get("read_only") or name == "kafka"
    assert "privileged" not in service
    if name in OURS:
        users = re.findall(r"^USER (\S+)", DOCKERFILE, re.MULTILINE)
        assert users
        assert users[-1] not in ("root", "0")


@pytest.mark.parametrize("name", SERVICES)
def test_health_is_looked_at_unless_it_runs_once(name: str) -> None:
    service = SERVICES[name]
    assert "test" in service["healthcheck"] or service["restart"] == "no"


def test_no_password_stands_in_the_file() -> None:
    for name, service in SERVICES.items():
        for variable in service.get("environment", {}):
            if re.search(r"PASSWORD|SECRET|TOKEN|KEY|_URL|DATABASE$", variable):
                plain = ("JISR_REGISTRY_URL", "JISR_CONSOLE_PUBLIC_URL")
                assert variable.endswith("_FILE") or variable in plain, f"{name}: {variable}"


def test_every_secret_is_declared_made_and_kept_out_of_git(tmp_path: Path) -> None:
    subprocess.run([ROOT / "deploy/docker/secrets", tmp_path / "s"], check=True, capture_output=True)
    made = {path.name for path in (tmp_path / "s").iterdir()}
    assert (tmp_path / "s").stat().st_mode & 0o077 == 0
    assert {name: Path(it["file"]).name for name, it in COMPOSE["secrets"].items()} == {n: n for n in made}
    used = {
        secret["source"] if isinstance(secret, dict) else secret
        for service in SERVICES.values()
        for secret in service.get("secrets", ())
    }
    assert used == made
    assert ".secrets/" in (ROOT / ".gitignore").read_text(encoding="utf-8").split()


def test_secrets_are_made_once(tmp_path: Path) -> None:
    command = [ROOT / "deploy/docker/secrets", tmp_path / "s"]
    subprocess.run(command, check=True, capture_output=True)
    first = {path.name: path.read_bytes() for path in (tmp_path / "s").iterdir()}
    subprocess.run(command, check=True, capture_output=True)
    assert {path.name: path.read_bytes() for path in (tmp_path / "s").iterdir()} == first


def test_networks_keep_agencies_apart_and_let_nothing_out() -> None:
    networks = COMPOSE["networks"]
    assert [name for name, it in networks.items() if not it.get("internal")] == ["edge"]
    assert [name for name, it in SERVICES.items() if "edge" in it["networks"]] == [
        "console",
        "prometheus",
        "grafana",
    ]
    for service in CONNECTORS.values():
        assert "store" not in service["networks"]
    own = [set(service["networks"]) - {"bus"} for service in CONNECTORS.values()]
    assert len(set.union(*own)) == len(own), "two agencies share a network"
    ports = [port for service in SERVICES.values() for port in service.get("ports", ())]
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_prometheus_keeps_what_the_objective_looks_back_at() -> None:
    rules = (ROOT / "deploy/prometheus/rules/recording.yml").read_text(encoding="utf-8")
    longest = max(int(days) for days in re.findall(r"\[(\d+)d\]", rules))
    kept = re.search(r"retention\.time=(\d+)d", " ".join(SERVICES["prometheus"]["command"]))
    assert kept is not None
    assert int(kept[1]) >= longest


def test_prometheus_looks_at_every_part_that_goes_on_running() -> None:
    content = YAML(typ="safe").load((ROOT / "deploy/prometheus/prometheus.yml").read_text(encoding="utf-8"))
    targets = {
        target.partition(":")[0]
        for job in content["scrape_configs"]
        for those in job["static_configs"]
        for target in those["targets"]
    }
    # The console counts nothing: what it shows, workers and connectors tell Prometheus themselves.
    assert targets == {name for name, it in OURS.items() if it["restart"] != "no"} - {"console"}


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({}, "configure OIDC"),
        ({"JISR_CONSOLE_OIDC_ISSUER": "https://id.example.ma"}, "JISR_CONSOLE_OIDC_CLIENT_ID"),
        (
            {
                "JISR_CONSOLE_OIDC_ISSUER": "https://id.example.ma",
                "JISR_CONSOLE_OIDC_CLIENT_ID": "console",
            },
            "holds fewer than 16 bytes",
        ),
        (
            {
                "JISR_CONSOLE_OIDC_ISSUER": "https://id.example.ma",
                "JISR_CONSOLE_OIDC_CLIENT_ID": "console",
                "secret": "given by the provider",
            },
            "console's public URL",
        ),
    ],
)
def test_the_console_refuses_to_start_without_a_provider(
    tmp_path: Path, given: dict[str, str], complaint: str
) -> None:
    """As the file starts it, with the variables of whoever runs compose, who may have set none."""
    assert SERVICES["console"]["profiles"] == ["console"]
    subprocess.run([ROOT / "deploy/docker/secrets", tmp_path], check=True, capture_output=True)
    if "secret" in given:
        (tmp_path / "console-client-secret").write_text(given["secret"])
    environment = {}
    for name, value in SERVICES["console"]["environment"].items():
        found = re.fullmatch(r"\$\{(\w+):-}", value)
        outside = given.get(found[1], "") if found else value
        environment[name] = outside.replace("/run/secrets", str(tmp_path))
    result = CliRunner(env=environment).invoke(jisr, SERVICES["console"]["command"][1:])
    assert isinstance(result.exception, ConfigurationError)
    assert complaint in str(result.exception)


def test_what_a_service_waits_for_is_there() -> None:
    for service in SERVICES.values():
        assert service.get("depends_on", {}).keys() <= SERVICES.keys()
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            assert (ROOT / source).exists() if source.startswith("./") else source in COMPOSE["volumes"]
