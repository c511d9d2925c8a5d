"""Our own processes: the registry, hub workers and connectors, as any operator would run them.

One function per process builds its spec. Each process is given by its environment what it may know, and
nothing else is inherited: a connector never sees the store's URL or another agency's key.
"""

from __future__ import annotations

import os
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import sqlalchemy

from hub.contracts.agreements import load_agreements
from hub.contracts.kafka_connection import SASL_SSL
from hub.contracts.records import Catalogue
from hub.errors import Fatal
from hub.local.ports import LOOPBACK
from hub.local.process_spec import ProcessSpec
from hub.ops.access import HUB_USER, agency_user, apply_access, release_access, set_password
from hub.ops.parts import today
from hub.ops.provision import provision_topics, release_topics
from hub.store.migrate import migrate

if TYPE_CHECKING:
    from hub.local.stack import AgencyDatabase, Stack

_JISR = (sys.executable, "-c", "from hub.cli import main; main()")
_INHERITED = (
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "TZ",
    "TMPDIR",
    "VIRTUAL_ENV",
    "PYTHONPATH",
    "LD_LIBRARY_PATH",
)
# Of the workers' consumer groups: the default of JISR_GROUP.
GROUP = "jisr-hub"
_PROBE_TIMEOUT_S = 1.0
_COMMAND_WITHIN_S = 300


def bring_up(stack: Stack) -> None:
    """From the databases to a running hub: tables, registry, schemas, topics, workers, connectors."""
    stack.step("store migrated", partial(_migrate, stack.endpoints.store))
    stack.run([registry(stack)])
    stack.step("schemas registered", partial(register_schemas, stack))
    stack.await_kafka()
    stack.step("topics provisioned", partial(provision, stack))
    if stack.options.secure:
        stack.step("access rules in force", partial(give_access, stack))
    ours = [hub_worker(stack, number) for number in range(stack.options.hub_workers)]
    ours += [connector(stack, agency) for agency in stack.options.agencies if _is_served(stack, agency)]
    metrics = [f"{_web(stack, spec.name)}/metrics" for spec in ours]
    assert stack.endpoints.registry is not None
    stack.endpoints = replace(stack.endpoints, metrics=[f"{stack.endpoints.registry}/metrics", *metrics])
    stack.run([*ours, console(stack)] if stack.options.console else ours)


def registry(stack: Stack) -> ProcessSpec:
    """The schema registry, on the hub's store; whoever has the token may register schemas."""
    url = _web(stack, "registry")
    stack.endpoints = replace(stack.endpoints, registry=url)
    environment = {
        "JISR_REGISTRY_DATABASE": stack.endpoints.store,
        "JISR_REGISTRY_TOKEN_FILE": str(stack.folder.secret_file("registry-token")),
    }
    arguments = ["registry", "serve", "--host", LOOPBACK, "--port", str(stack.port("registry"))]
    return _spec(stack, "registry", arguments, environment, lambda: answers(f"{url}/readyz"))


def hub_worker(stack: Stack, number: int) -> ProcessSpec:
    """One hub worker; workers share the partitions among them."""
    name = f"hub-{number}"
    url = _web(stack, name)
    environment = {
        **_release(stack),
        **_kafka_and_registry(stack),
        "JISR_STORE_URL": stack.endpoints.store,
        "JISR_SECRET_FILE": str(stack.folder.secret_file("hub")),
        "JISR_WORKER_NAME": name,
        "JISR_WEB_PORT": str(stack.port(name)),
    }
    after = ["kafka", "postgres", "registry"]
    return _spec(stack, name, ["hub"], environment, lambda: answers(f"{url}/readyz"), after)


def console(stack: Stack) -> ProcessSpec:
    """The console with its local login, whose code stands in the endpoints."""
    url = _web(stack, "console")
    code_file = stack.folder.secret_file("console-code")
    stack.endpoints = replace(
        stack.endpoints, console=url, console_code=code_file.read_text(encoding="ascii").strip()
    )
    environment = {
        **_release(stack),
        **_kafka_and_registry(stack),
        "JISR_STORE_URL": stack.endpoints.store,
        "JISR_SECRET_FILE": str(stack.folder.secret_file("hub")),
        "JISR_CONSOLE_PORT": str(stack.port("console")),
        "JISR_CONSOLE_SECRET_FILE": str(stack.folder.secret_file("console-sessions")),
        "JISR_CONSOLE_LOCAL_CODE_FILE": str(code_file),
    }
    return _spec(
        stack, "console", ["console"], environment, lambda: answers(f"{url}/livez"), ["kafka", "postgres"]
    )


def connector(stack: Stack, agency: AgencyDatabase) -> ProcessSpec:
    """The connector of one agency, on the agency's own database."""
    name = f"connector-{agency.name}"
    url = _web(stack, name)
    environment = {
        **_release(stack),
        **_kafka_and_registry(stack, agency_user(agency.name)),
        "JISR_DATABASE_URL": stack.endpoints.agencies[agency.name],
        "JISR_AGENCY_KEY_FILE": str(stack.folder.secret_file(f"agency-{agency.name}")),
        "JISR_WEB_PORT": str(stack.port(name)),
    }
    arguments = ["connector", "run", str(stack.options.connectors / f"{agency.name}.yaml")]
    after = ["kafka", "postgres", "registry"]
    return _spec(stack, name, arguments, environment, lambda: answers(f"{url}/readyz"), after)


def give_access(stack: Stack) -> None:
    """Put the release's rights in force, and give every user of it the password that its file holds."""
    catalogue = Catalogue.load(stack.options.schemas / "records")
    agreements = load_agreements(stack.options.agreements, catalogue).values()
    admin = stack.endpoints.kafka
    access = release_access(catalogue.partitions, agreements, GROUP, today())
    apply_access(admin, access)
    files = {user: stack.folder.secret_file(f"kafka-{user}") for user in access.users}
    for user, file in files.items():
        set_password(admin, user, file.read_text(encoding="ascii").strip())
    assert stack.endpoints.secure is not None
    secure = replace(stack.endpoints.secure, password_files={user: str(files[user]) for user in files})
    stack.endpoints = replace(stack.endpoints, secure=secure)


def base_environment() -> dict[str, str]:
    """What every process of ours gets of this one's environment: no setting of the hub's, no secret."""
    kept = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    return {**kept, "PYTHONUNBUFFERED": "1"}


def answers(url: str) -> bool:
    """Whether a GET of our own http URL is answered with 2xx; else raises. Blocks for a second at most."""
    with urllib.request.urlopen(url, timeout=_PROBE_TIMEOUT_S) as answer:  # noqa: S310
        return bool(200 <= answer.status < 300)


def _spec(
    stack: Stack,
    name: str,
    arguments: Sequence[str],
    environment: Mapping[str, str],
    ready: Callable[[], bool],
    after: Sequence[str] = ("postgres",),
) -> ProcessSpec:
    return ProcessSpec(
        name=name,
        argv=[*_JISR, *arguments],
        env={**base_environment(), **environment, **stack.options.environment},
        cwd=stack.options.project,
        ready=ready,
        after=after,
    )


def _web(stack: Stack, name: str) -> str:
    return f"http://{LOOPBACK}:{stack.port(name)}"


def _release(stack: Stack) -> dict[str, str]:
    return {
        "JISR_SCHEMAS": str(stack.options.schemas),
        "JISR_AGREEMENTS": str(stack.options.agreements),
    }


def _kafka_and_registry(stack: Stack, user: str = HUB_USER) -> dict[str, str]:
    assert stack.endpoints.registry is not None, "the registry comes before what reads from it"
    plain = {
        "JISR_BOOTSTRAP": stack.endpoints.bootstrap,
        "JISR_REGISTRY_URL": stack.endpoints.registry,
    }
    secure = stack.endpoints.secure
    if secure is None or (user == HUB_USER and not secure.password_files):
        # Before anybody has a password, only the registry is asked.
        return plain
    return {
        **plain,
        "JISR_BOOTSTRAP": secure.bootstrap,
        "JISR_KAFKA_PROTOCOL": SASL_SSL,
        "JISR_KAFKA_CA_FILE": secure.ca_file,
        "JISR_KAFKA_USER": user,
        "JISR_KAFKA_PASSWORD_FILE": secure.password_files[user],
    }


def _migrate(store: str) -> None:
    engine = sqlalchemy.create_engine(store, poolclass=sqlalchemy.NullPool)
    migrate(engine)


def provision(stack: Stack) -> list[str]:
    """Make the topics of the release that are missing; their names."""
    catalogue = Catalogue.load(stack.options.schemas / "records")
    agreements = load_agreements(stack.options.agreements, catalogue).values()
    return provision_topics(stack.endpoints.kafka, release_topics(catalogue.partitions, agreements))


def register_schemas(stack: Stack) -> None:
    """`jisr schema register`, by whoever has the registry's token. Raises Fatal with what it said."""
    token = {"JISR_REGISTRY_TOKEN_FILE": str(stack.folder.secret_file("registry-token"))}
    result = command(stack, ["schema", "register"], token)
    if result.returncode != 0:
        raise Fatal(f"schemas cannot be registered:\n{result.stderr or result.stdout}")


def command(
    stack: Stack, arguments: Sequence[str], more: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """`jisr …` with this release, as at an operator's keyboard; `more`: of its environment. Blocks."""
    environment = {**base_environment(), **_release(stack), **_kafka_and_registry(stack), **more}
    return subprocess.run(  # noqa: S603  (our own command, no shell)
        [*_JISR, *arguments],
        env=environment,
        cwd=stack.options.project,
        capture_output=True,
        text=True,
        timeout=_COMMAND_WITHIN_S,
        check=False,
    )


def _is_served(stack: Stack, agency: AgencyDatabase) -> bool:
    """Whether its connector can run: it is described, and the agency's tables are there to be read."""
    mapping = stack.options.connectors / f"{agency.name}.yaml"
    if not mapping.is_file():
        stack.note(f"{agency.name}: no connector, since there is no {mapping}")
        return False
    if not has_tables(stack.endpoints.agencies[agency.name]):
        stack.note(f"{agency.name}: no connector, since its database is empty")
        return False
    return True


def has_tables(url: str) -> bool:
    """Whether there are tables in a database, in whatever schema. Blocks."""
    inspector = sqlalchemy.inspect(sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool))
    schemas = [name for name in inspector.get_schema_names() if name != "information_schema"]
    return any(inspector.get_table_names(schema=name) for name in schemas)
