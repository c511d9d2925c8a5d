#!/usr/bin/env python3
"""Make the topics of this release on any Kafka cluster, and put their settings right. Safe to repeat.

    JISR_BOOTSTRAP=kafka:9092 python deploy/docker/topics.py

Reads JISR_SCHEMAS and JISR_AGREEMENTS like a hub worker. A topic that exists keeps its partitions.
"""

import os
from pathlib import Path

from hub.contracts.agreements import load_agreements
from hub.contracts.records import Catalogue
from hub.contracts.topics import agency_topics, hub_topics
from hub.ops.provision import provision_topics


def main() -> None:
    catalogue = Catalogue.load(Path(os.environ.get("JISR_SCHEMAS", "schemas")) / "records")
    agreements = Path(os.environ.get("JISR_AGREEMENTS", "deploy/agreements"))
    topics = list(hub_topics(catalogue.records))
    for agreement in load_agreements(agreements, catalogue).values():
        topics += agency_topics(agreement.agency, agreement.record_types)
    created = provision_topics(os.environ["JISR_BOOTSTRAP"], topics)
    print(f"{len(topics)} topics are in order, {len(created)} of them made now")


if __name__ == "__main__":
    main()
