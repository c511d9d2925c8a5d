"""The proof: every agency holds exactly what it may hold, and all hold the same.

Three sources are compared, none of which is the hub's own word on the outcome: the rows of the agencies'
databases (read by `hub.local.demo.agencies.reading`), the agreements and contracts of this release, and
what every local record asserts (the kept topics). Data flow: `entitled` computes from assertions,
crosswalk and agreements what each agency is to hold; `verdict` lays the rows beside it, compares row by
row, and digests both sides. Only the demonstration, the benchmark and tests import this.
"""
