"""The convergence core: pure functions over assertions; no clock, no I/O, no import of ours.

Data flows: changes → `assertions` (a join-semilattice, R8) → `matching` and `crosswalk` (which records
are one entity) → `merge` (the golden record) → `projection` (what each agency may hold).
Whoever reads only one thing: `merge.winner` decides every conflict.
"""
