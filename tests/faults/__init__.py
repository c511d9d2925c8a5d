"""Delivery under faults: schedules of faults, one running stage, an oracle from outside (docs/faults.md)."""
