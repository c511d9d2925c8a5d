"""The four agencies' own databases, each with its own idea of how a person is written down.

What lives here: one `<agency>.sql` with the tables, one `<agency>.py` saying how a value in the
hub's terms is written in them (`tables` has the words for that), and `databases`, which creates the
tables and fills them with a population. The databases know nothing of the hub: capture, shadow and
queue are added by the connectors. Only the demonstration, the benchmark and tests import this.
"""
