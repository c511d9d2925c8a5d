"""The console: pages and an HTTP API for those who run the hub, decide, and look after what was done.

A page is a module with a `SECTION` of guarded routes (`routing`), a template and its messages; `sections`
lists them. Each route declares which permission it needs (`access`), or it is not mounted. An endpoint is
given a `Visit`: who asks, in which language, what they may see, and the hub's parts. It asks the view
functions of `hub.ops`, and renders a template or encodes a dataclass: no rule of the hub is written twice.

`application` builds the ASGI application from a `Console`, into which everything is handed: nothing is read
on import. Around every route: `protection` (headers, hosts, size of a body), signed sessions, CSRF tokens.
`languages` and `wording` speak Arabic, French and English. May import `hub.ops` and what is beneath it; only
the command line imports it.
"""
