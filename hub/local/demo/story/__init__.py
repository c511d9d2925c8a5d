"""The story: twelve things that happen to people's records, each checked where it matters.

`scene` is what a step may do: write and read at an agency's desk with that agency's own SQL, wait until
something is seen there (with a deadline, never a sleep), read the notices, speak as a stock Kafka client,
kill a process. Each other module tells a few steps; `steps` lists them in order. A step that fails says
what was expected and what was found, and the story goes on.
"""
