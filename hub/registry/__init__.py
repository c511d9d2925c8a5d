"""The schema registry: gives every schema a number, and lets none in that would break a reader.

Here live its storage (`storage`), its rules (`service`), its HTTP face in the form that stock Confluent
clients speak (`server`), and the commands `jisr registry` and `jisr schema`. May import `hub.contracts`
and `hub.errors`; the rest of the hub reaches it over HTTP, through `hub.contracts.registry_client`.

Data flows: HTTP → `server` (size, token) → `service` (safety, compatibility: R5, R6) → PostgreSQL. What
is stored never changes and is never deleted: the ids stand in messages that are kept (R31).
"""
