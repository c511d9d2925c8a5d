"""Connectors: the processes that join one agency's system to its topics.

Here live the contract that an integrator writes against (`sdk`), the loop that drives any connector
(`runner`), and one folder per connector (`sql`). Runs at the agency. May import `hub.core`,
`hub.contracts` and `hub.errors`, nothing else of the hub; nothing of the hub imports this package, save
the command line.

Data flows: the agency's system → `Source.read` → runner → `<agency>.<record>.changes`; and
`<agency>.<record>.inbox` → runner → `Sink.apply` → the agency's system → `<agency>.receipts`.
"""
