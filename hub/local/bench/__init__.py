"""The benchmark: `jisr bench` measures the real stack under a fixed, seeded workload.

`workload` says what is written, `stage` runs the stack that it is written to, `parts` measures one thing
each, `floors` measures what the same bytes and rows cost without a hub. Imports may come from anywhere in
the project; nothing imports this but the command line.
"""
