"""What tests of the convergence core share: contracts to test by, builders, and two hubs to compare.

`contracts` holds the release's record types with agreements made for tests; `changes` says things in an
agency's name; `memory_hub` is the core alone, `store_hub` the real intake over PostgreSQL; both are read
by `facts`. Tests import from here, nothing here imports a test.
"""
