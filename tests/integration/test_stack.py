"""The embedded Kafka and PostgreSQL: private, durable, and back after a kill."""

from __future__ import annotations

import os
import stat
import uuid

import psutil
import psycopg
import pytest
import sqlalchemy
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition
from kafka import KafkaConsumer, KafkaProducer
from kafka.errors import KafkaError

from hub.contracts.topics import TopicSpec
from hub.errors import Fatal
from hub.local import services
from hub.local.stack import AgencyDatabase, Stack, StackOptions
from hub.ops.provision import provision_topics

COMPRESSIONS = (None, "gzip", "snappy", "lz4", "zstd")


def connect(url: str) -> psycopg.Connection[tuple[object, ...]]:
    return psycopg.connect(url.replace("+psycopg", ""), autocommit=True, connect_timeout=5)


def ask(url: str, query: str) -> object:
    with connect(url) as connection:
        row = connection.execute(query.encode()).fetchone()
        assert row is not None
        return row[0]


@pytest.fixture
def topic(stack: Stack) -> str:
    name = f"stack-{uuid.uuid4().hex[:8]}"
    provision_topics(stack.endpoints.kafka, [TopicSpec(name, 1)])
    return name


def produce(stack: Stack, topic: str, *values: bytes) -> None:
    producer = KafkaProducer(
        bootstrap_servers=stack.endpoints.bootstrap, acks="all", retries=100, delivery_timeout_ms=60_000
    )
    for value in values:
        producer.send(topic, value).get(timeout=60)
    producer.close()


def consume(stack: Stack, topic: str, count: int) -> list[bytes]:
    # librdkafka: it brings every codec with it.
    options = {"bootstrap.servers": stack.endpoints.bootstrap, "group.id": "none"}
    consumer = Consumer({**options, "enable.auto.commit": False})
    consumer.assign([TopicPartition(topic, 0, OFFSET_BEGINNING)])
    messages = consumer.consume(count, timeout=60)
    consumer.close()
    assert [message.error() for message in messages] == [None] * count
    return [message.value() for message in messages]


def sockets(stack: Stack) -> list[tuple[str, int]]:
    """Every address that a process of the stack listens on."""
    found = []
    for status in stack.processes():
        root = psutil.Process(status.pid)
        for process in [root, *root.children(recursive=True)]:
            for it in process.net_connections("inet"):
                if it.status == psutil.CONN_LISTEN:
                    found.append((it.laddr.ip, it.laddr.port))
    return found


def test_listens_on_the_loopback_interface_only(stack: Stack) -> None:
    # Java on IPv6 sockets shows the IPv4 loopback address as mapped.
    addresses = {ip.removeprefix("::ffff:") for ip, _ in sockets(stack)}
    assert addresses == {"127.0.0.1"}


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_postgresql_does_not_run_as_root(stack: Stack) -> None:
    postgres = next(status for status in stack.processes() if status.name == "postgres")
    assert 0 not in psutil.Process(postgres.pid).uids()


def test_no_secret_is_on_a_command_line(stack: Stack) -> None:
    secrets = {path.read_text().strip() for path in stack.folder.secrets.iterdir()}
    lines = [" ".join(psutil.Process(status.pid).cmdline()) for status in stack.processes()]
    assert secrets
    assert not [secret for secret in secrets for line in lines if secret in line]


def test_state_and_secrets_are_for_their_owner_only(stack: Stack) -> None:
    files = [stack.folder.state, *stack.folder.secrets.iterdir()]
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}


def test_one_stack_per_data_folder(stack: Stack) -> None:
    before = stack.processes()
    with pytest.raises(Fatal, match="a stack already runs"):
        Stack(StackOptions(home=stack.folder.home)).start()
    assert stack.processes() == before
    assert {"kafka", "postgres"} <= {status.name for status in before}


def test_a_process_is_told_only_what_it_may_know(stack: Stack) -> None:
    before = stack.endpoints
    try:
        services.registry(stack)
        agency, worker = services.connector(stack, AgencyDatabase("ads")), services.hub_worker(stack, 0)
    finally:
        stack.endpoints = before
    assert before.store in worker.env.values()
    assert before.agencies["ads"] in agency.env.values()
    to_agency, to_worker = (" ".join([*spec.env.values(), *spec.argv]) for spec in (agency, worker))
    assert stack.folder.secret("database-jisr_hub") not in to_agency
    assert str(stack.folder.secret_file("hub")) not in to_agency
    assert stack.folder.secret("database-agency_ads") not in to_worker
    assert stack.folder.secret("postgres-superuser") not in to_agency + to_worker


# PostgreSQL


def test_each_agency_reaches_its_own_database_and_no_other(stack: Stack) -> None:
    own, store = stack.endpoints.agencies["ads"], stack.endpoints.store
    assert ask(own, "SELECT current_database()") == AgencyDatabase("ads").database
    for database in ("jisr_hub", "postgres", "template1"):
        with pytest.raises(psycopg.OperationalError, match="no pg_hba"):
            connect(own.rpartition("/")[0] + f"/{database}")
    with pytest.raises(psycopg.OperationalError, match="no pg_hba"):
        connect(store.rpartition("/")[0] + "/agency_ads")


def test_even_a_rule_that_let_it_in_would_not_let_it_connect(stack: Stack) -> None:
    query = "SELECT has_database_privilege('agency_ads', 'jisr_hub', 'CONNECT')"
    assert ask(stack.superuser_url(), query) is False


def test_an_agency_owns_its_database_and_is_no_superuser(stack: Stack) -> None:
    own = stack.endpoints.agencies["ads"]
    assert (
        ask(own, "SELECT rolsuper OR rolcreaterole OR rolcreatedb FROM pg_roles WHERE rolname = user")
        is False
    )
    with connect(own) as connection:
        connection.execute("CREATE TABLE t (n int); DROP TABLE t")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("COPY (SELECT 1) TO '/tmp/x'")


@pytest.mark.parametrize("password", ["wrong", ""])
def test_nobody_enters_without_the_password(stack: Stack, password: str) -> None:
    secret = stack.folder.secret("postgres-superuser")
    with pytest.raises(psycopg.OperationalError, match="password"):
        connect(stack.superuser_url().replace(secret, password))


def test_passwords_are_kept_as_scram(stack: Stack) -> None:
    query = "SELECT bool_and(rolpassword LIKE 'SCRAM-SHA-256$%') FROM pg_authid WHERE rolcanlogin"
    assert ask(stack.superuser_url(), query) is True


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("max_locks_per_transaction", "256"),
        ("max_connections", "100"),
        ("shared_buffers", "128MB"),
        ("fsync", "on"),
        ("server_encoding", "UTF8"),
        ("TimeZone", "UTC"),
        ("data_checksums", "on"),
    ],
)
def test_settings(database: str, setting: str, value: str) -> None:
    assert ask(database, f"SHOW {setting}") == value


def test_letters_have_one_order_and_case_everywhere(database: str) -> None:
    assert ask(database, "SELECT upper('é')") == "É"
    assert ask(database, "SELECT string_agg(c, '' ORDER BY c) FROM unnest('{ب,a,ا,B}'::text[]) c") == "Baاب"


def test_a_database_is_made_once_and_dropped_with_its_connections(stack: Stack) -> None:
    name = f"test_{uuid.uuid4().hex[:8]}"
    url = stack.create_database(name)
    open_connection = connect(url)
    open_connection.execute("CREATE TABLE t (n int)")
    assert stack.create_database(name) == url
    assert ask(url, "SELECT count(*) FROM t") == 0

    stack.drop_database(name)
    with pytest.raises(psycopg.OperationalError):
        open_connection.execute("SELECT 1")
    assert ask(stack.superuser_url(), f"SELECT count(*) FROM pg_roles WHERE rolname = '{name}'") == 0


def test_tables_in_a_schema_of_their_own_are_tables(database: str) -> None:
    assert not services.has_tables(database)
    with connect(database) as connection:
        connection.execute("CREATE SCHEMA scolarite; CREATE TABLE scolarite.eleve (n int)")
    assert services.has_tables(database)


def test_an_agency_on_sqlite_has_a_file_of_its_own(stack: Stack) -> None:
    engine = sqlalchemy.create_engine(stack.endpoints.agencies["entraide"])
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text("CREATE TABLE IF NOT EXISTS t (n int)"))
    engine.dispose()
    assert (stack.folder.agencies / "entraide.sqlite3").exists()


def test_postgresql_is_back_after_a_kill_with_what_was_committed(stack: Stack, database: str) -> None:
    clients = [connect(database) for _ in range(5)]
    clients[0].execute("CREATE TABLE t (n int)")
    clients[1].execute("INSERT INTO t VALUES (1)")
    clients[2].execute("BEGIN; INSERT INTO t VALUES (2)")

    stack.kill("postgres")
    stack.wait_ready("postgres")

    assert ask(database, "SELECT sum(n) FROM t") == 1
    for client in clients:
        client.close()


# Kafka


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_the_slim_set_of_jars_knows_every_compression(stack: Stack, compression: str | None) -> None:
    # The broker recompresses here, so that its own codec is what is tested.
    name = f"stack-{uuid.uuid4().hex[:8]}"
    config = {"compression.type": compression or "uncompressed"}
    provision_topics(stack.endpoints.kafka, [TopicSpec(name, 1, config)])
    values = [b"a" * 1000, b"b" * 1000]
    produce(stack, name, *values)
    assert consume(stack, name, 2) == values


def test_topics_are_not_made_by_mistake(stack: Stack) -> None:
    producer = KafkaProducer(
        bootstrap_servers=stack.endpoints.bootstrap, max_block_ms=2000, allow_auto_create_topics=True
    )
    with pytest.raises(KafkaError):
        producer.send("no-such-topic", b"").get(timeout=5)
    producer.close()


def test_a_consumer_group_may_have_a_session_of_one_second(stack: Stack, topic: str) -> None:
    produce(stack, topic, b"first")
    consumer = KafkaConsumer(
        topic,
        bootstrap_servers=stack.endpoints.bootstrap,
        group_id=topic,
        session_timeout_ms=1000,
        heartbeat_interval_ms=300,
        auto_offset_reset="earliest",
        consumer_timeout_ms=30_000,
    )
    assert next(consumer).value == b"first"
    consumer.commit()
    consumer.close()


def test_kafka_is_back_after_a_kill_with_what_was_acknowledged(stack: Stack, topic: str) -> None:
    produce(stack, topic, b"before")
    stack.kill("kafka")
    stack.wait_ready("kafka")
    produce(stack, topic, b"after")
    assert consume(stack, topic, 2) == [b"before", b"after"]


def test_kafka_that_was_frozen_goes_on_where_it_was(stack: Stack, topic: str) -> None:
    pid = next(status.pid for status in stack.processes() if status.name == "kafka")
    stack.pause("kafka")
    assert psutil.Process(pid).status() == psutil.STATUS_STOPPED
    stack.resume("kafka")
    produce(stack, topic, b"after")
    assert consume(stack, topic, 1) == [b"after"]
    assert pid == next(status.pid for status in stack.processes() if status.name == "kafka")
