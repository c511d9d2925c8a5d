"""A region from one seed: the production hub and connectors over simulated brokers, databases and time.

`schedule` decides who runs, when time passes and who dies; `broker`, `store` (over `tables`) and `agency`
stand for Kafka, the hub's PostgreSQL and the agencies' databases; `ports` puts them where production code
looks for the real ones. `deeds` draws what people do, and `people`, `stewards` and `restores` do it; `region`
joins all and runs one seed until there is `rest`; `reference` says what must come of it, and `judge`
compares. `planted` are mistakes that must be found. docs/simulation.md tells more.
"""
