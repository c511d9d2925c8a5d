"""The hub's store: PostgreSQL through SQLAlchemy Core.

Here live the tables, their migrations, and named blocks of SQL beside the code that runs them. May import
`hub.core` and `hub.errors`. Every statement is set-based: one round trip for a batch, never one per event.
"""
