"""The embedded stack: Kafka, PostgreSQL and the hub's own processes on one machine, from pip alone.

Data flows downwards: `stack` composes; `jars`, `kafka`, `postgres` and `services` say how each part is
prepared and started, as a `process_spec`; `processes` starts, watches and stops what is described, one
`child` per process; `launch` is the last thing that runs before each program, `process_tree` asks the
operating system. `data_folder` and `ports` keep what must outlive a run. `commands` and `doctor` are what a
person sees of it.

Only `hub.cli` and `hub.local.demo` may import this package, and so may tests. It imports the rest
of the hub only to run the steps between two groups of processes; the hub itself it starts as any
other process, by its command line and environment.
"""
