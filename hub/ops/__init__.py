"""Operations: metrics, provisioning, status, explanation, and a steward's decisions.

Status (`status`, `counts`, `log_reader`) and explanation (`case`, `explain`, `permissions`, `rulings`,
`traces`) read what the lanes leave in the store and in Kafka; they lock nothing and change nothing.
Decisions (`holds`, `reviews`) go through intake like everything else, and are published by the workers.
May import `hub.core`, `hub.contracts`, `hub.store`, `hub.lanes`; only the composition root, the command
line and `hub.local` import it.
"""
