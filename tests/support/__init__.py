"""What tests of the convergence core share: contracts to test by, builders, and two hubs to compare.

`contracts` holds the release's record types and one more, with agreements made for tests; `changes` says
things in an agency's name, `messages` in their wire form; `histories` draws what agencies may say over time.
`memory_hub` is the core alone, `store_hub` the real intake over PostgreSQL; `facts` compares what they say.
Tests import from here, nothing here imports a test.
"""
