"""The demonstration: a region's social centres, four agencies, and the people they know.

What lives here: the seeded population (`population`), the agencies' own databases (`agencies`, with a
`desk` at each), and `jisr demo` (`command`): `region` starts the embedded stack over them, `loading` shows
and measures how the records converge, `story` plays twelve steps and `everyday` the second act, and `proof`
compares what every agency holds with what it may hold. Only `hub.cli` and tests import it; nothing of the
hub depends on it.

Data flow one way: `population(people, seed)` makes every agency's copies of records of all types in the
hub's terms, with the truth about who is whom: people first, then what there is around them (`centres`,
`directory`, `courses`), then what was done with them (`enrolments`, `followup`, `projects`).
`agencies.databases` writes those copies into each agency's own tables, in that agency's own terms. From
there on the connectors see databases like any other. What comes of it is read back by
`agencies.reading`, and from the kept topics (`kept`); `audit` brings both before the proof.
"""
