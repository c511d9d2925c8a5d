"""Contracts: what the hub and the agencies have agreed to say to each other.

Here live the record types (read from `schemas/records/`), the events around them, topic names, the
wire format, value validation and the agreements; also the form in which every part says what it measures
(`measures`), since connectors share it with the hub. Everything derives from the `.avsc` and agreement
files of this release (R1, R5). May import `hub.core` and `hub.errors`; connectors may import it.

Data flows: `.avsc` → `Catalogue` → event schemas → registry; bytes from Kafka → `wire` → field values.
"""
