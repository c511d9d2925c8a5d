"""What the dialects have in common: one SQLAlchemy connection, held, and statements in SQLAlchemy Core."""

from __future__ import annotations

import contextlib
import re
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

from sqlalchemy import (
    URL,
    Connection,
    Executable,
    Insert,
    MetaData,
    NullPool,
    Table,
    TextualSelect,
    bindparam,
    create_engine,
    inspect,
    text,
)
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.sql.elements import TextClause
from sqlalchemy.types import TypeEngine

from connectors.sql.bookkeeping import bookkeeping
from connectors.sql.database import Database
from connectors.sql.tables import Bookkeeping
from hub.errors import ConfigurationError, JisrError, Retriable

_IN_LIST = re.compile(r"IN_LIST\(:([a-z_]+)\)")


class CoreDatabase(Database):
    """The port on an SQLAlchemy engine, as far as dialects do not differ.

    The driver's connection stays in autocommit, so that reading holds no transaction open; a write
    transaction begins with the dialect's own BEGIN, in one round trip with its settings, and ends with
    SQLAlchemy's commit or rollback. The connection is held until `close`: locks of the session are on it,
    so a broken one is not replaced in silence.
    """

    # The type of each kind of bookkeeping column.
    kinds: ClassVar[Mapping[str, TypeEngine[Any]]]
    # How SQL asks whether a value is in a list that is one parameter, and that parameter's type.
    in_list = r"= ANY(:\1)"
    list_type: TypeEngine[Any] | None = None
    # Types of columns of an answer, by name, that the driver does not know by itself.
    results: ClassVar[Mapping[str, TypeEngine[Any]]] = {}

    def __init__(self, url: URL, **options: Any) -> None:
        try:
            self._engine = create_engine(
                url,
                isolation_level="AUTOCOMMIT",
                poolclass=NullPool,
                pool_reset_on_return=None,
                # An error must not carry people's data into a log.
                hide_parameters=True,
                **options,
            )
        except (ArgumentError, ImportError) as error:
            raise ConfigurationError(f"the database's URL: {error}") from error
        self._connection: Connection | None = None
        self._texts: dict[str, TextClause] = {}
        self._queries: dict[str, TextualSelect] = {}
        self._inserts: dict[tuple[str, str], Insert] = {}
        self.tables: dict[str, Table] = {}
        self.metadata = MetaData()

    @property
    def _db(self) -> Connection:
        if self._connection is None or self._connection.invalidated:
            raise Retriable(f"{self.dialect}: not connected")
        return self._connection

    @abstractmethod
    def meaning(self, error: DBAPIError) -> JisrError:
        """What the connector does about an error of the driver."""

    @abstractmethod
    def begin(self, *, by_hub: bool) -> None:
        """Begin a transaction, with its settings."""

    @abstractmethod
    def begin_reading(self) -> None:
        """Begin a transaction that sees one moment."""

    def before_commit(self, *, by_hub: bool) -> None:
        """Undo what must not outlive the transaction."""

    @abstractmethod
    def quoted_table(self, table: Table) -> str:
        """A bookkeeping table's name, as SQL."""

    @abstractmethod
    def insert(self, table: Table) -> Any:
        """The dialect's INSERT of bookkeeping rows; it has `on_conflict_do_update`."""

    def parameters(self, table: Bookkeeping, rows: Sequence[Any]) -> Any:
        """The parameters of `insert`."""
        return [
            row if isinstance(row, Mapping) else {name: getattr(row, name) for name in table.columns}
            for row in rows
        ]

    def connect(self) -> None:
        self.close()
        with self.translated():
            self._connection = self._engine.connect()

    def describe(self, schema: str | None = None) -> None:
        """Tell where the bookkeeping tables are."""
        self.tables = bookkeeping(self.kinds, schema)
        self.metadata = next(iter(self.tables.values())).metadata
        self._texts.clear()
        self._queries.clear()
        self._inserts.clear()

    def close(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(SQLAlchemyError):
                self._connection.close()
            self._connection = None

    @contextlib.contextmanager
    def translated(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            raise self.meaning(error) from error

    @contextlib.contextmanager
    def at_work(self) -> Iterator[Connection]:
        """The connection, for statements of the current transaction or, outside one, of their own."""
        db = self._db
        with self.translated():
            if db.in_transaction():
                yield db
            else:
                # For SQLAlchemy only: the server is in autocommit and hears nothing of it.
                with db.begin():
                    yield db

    @contextlib.contextmanager
    def transaction(self, *, by_hub: bool = False) -> Iterator[None]:
        with self.translated(), self._db.begin():
            self.begin(by_hub=by_hub)
            yield
            self.before_commit(by_hub=by_hub)

    @contextlib.contextmanager
    def one_moment(self) -> Iterator[None]:
        with self.translated(), self._db.begin():
            self.begin_reading()
            yield

    def script(self, statement: str) -> None:
        """Run a statement without parameters as it is: nothing in it is a mark of the driver's."""
        with self.at_work() as db:
            db.exec_driver_sql(statement, execution_options={"no_parameters": True})

    def fetch(
        self, statement: Executable, params: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None
    ) -> list[tuple[Any, ...]]:
        with self.at_work() as db:
            return [tuple(row) for row in db.execute(statement, params).fetchall()]

    def query(self, sql: str, params: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
        statement = self._queries.get(sql)
        if statement is None:
            statement = self._queries[sql] = self.text(sql).columns(**self.results)
        return self.fetch(statement, params)

    def execute(self, sql: str, params: Mapping[str, Any] | None = None) -> int:
        with self.at_work() as db:
            return db.execute(self.text(sql), params).rowcount

    def text(self, sql: str) -> TextClause:
        """A statement of the port as SQLAlchemy's, made once."""
        ready = self._texts.get(sql)
        if ready is None:
            names = {name: self.quoted_table(t).replace(":", r"\:") for name, t in self.tables.items()}
            ready = text(_IN_LIST.sub(self.in_list, sql.format_map(names)))
            lists = set(_IN_LIST.findall(sql))
            ready = ready.bindparams(*(bindparam(name, type_=self.list_type) for name in lists))
            self._texts[sql] = ready
        return ready

    def upsert(self, table: Bookkeeping, rows: Sequence[Any], *, keep: bool = False) -> int:
        return self._bulk(table, "keep" if keep else "replace", rows)

    def append(self, table: Bookkeeping, rows: Sequence[Any]) -> None:
        self._bulk(table, "", rows)

    def _bulk(self, table: Bookkeeping, conflict: str, rows: Sequence[Any]) -> int:
        if not rows:
            return 0
        if (table.name, conflict) not in self._inserts:
            self._inserts[table.name, conflict] = self._insert(table, conflict)
        with self.at_work() as db:
            return db.execute(self._inserts[table.name, conflict], self.parameters(table, rows)).rowcount

    def _insert(self, table: Bookkeeping, conflict: str) -> Insert:
        statement = self.insert(self.tables[table.name])
        if conflict == "keep":
            statement = statement.on_conflict_do_nothing(index_elements=table.key)
        elif conflict == "replace":
            others = {c: statement.excluded[c] for c in table.columns if c not in table.key}
            statement = statement.on_conflict_do_update(index_elements=table.key, set_=others)
        made: Insert = statement.execution_options(preserve_rowcount=True)
        return made

    def has_table(self, name: str) -> bool:
        return bool(self.columns(name))

    def create_tables(self) -> None:
        """Create what is missing of the bookkeeping, in the current transaction."""
        with self.at_work() as db:
            self.metadata.create_all(db)
            self._add_columns(db)

    def _add_columns(self, db: Connection) -> None:
        """Columns that an older release's tables lack: without a default, so that no row is rewritten."""
        preparer = db.dialect.identifier_preparer
        inspector = inspect(db)
        for table in self.tables.values():
            present = {column["name"] for column in inspector.get_columns(table.name, table.schema)}
            for column in table.columns:
                if column.name not in present:
                    kind = column.type.compile(db.dialect)
                    name = preparer.quote(column.name)
                    self.script(f"ALTER TABLE {self.quoted_table(table)} ADD COLUMN {name} {kind}")

    def drop_tables(self) -> None:
        with self.at_work() as db:
            self.metadata.drop_all(db)
