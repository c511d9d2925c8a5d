"""The lanes: intake, publication and receipts, as faust services.

Intake reads `<agency>.<record>.changes`, converges in one SQL transaction per batch, and hands what changed
to publication, which writes the hub's topics and the agencies' inboxes. Receipts come back and tell how far
each agency is. May import `hub.core`, `hub.contracts`, `hub.store`.
"""
