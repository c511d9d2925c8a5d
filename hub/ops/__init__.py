"""Operations: metrics, topics, status, explanation, a steward's decisions, dead letters, the audit trail.

Status (`status`, `counts`, `log_reader`) and explanation (`case`, `explain`, `permissions`, `rulings`,
`traces`) read what the lanes leave in the store and in Kafka; they lock nothing and change nothing.
Decisions (`holds`, `reviews`) go through intake like everything else, and are published by the workers.
Dead letters are found and discarded (`dead_letters`), taken apart (`examination` over `anatomy`), and taken
in again (`redrive`); a preview of that is intake in `rehearsal`, told by `effects`. `audit` keeps who saw or
decided what. `provision` compares and makes topics.
What is measured is specified in `metrics`: a worker's lanes tell `counting` of their work; `gathering`
looks at offsets and store (`store_gauges`) now and then, and `gauges` says what it saw to whoever scrapes.
May import `hub.core`, `hub.contracts`, `hub.store`, `hub.lanes`; only the composition root, the command
line and `hub.local` import it.
"""
