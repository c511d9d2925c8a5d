"""All planted mistakes, in a fixed order."""

from simulation import planted_agencies, planted_hub
from simulation.plants import PLANTS

__all__ = ["PLANTS", "planted_agencies", "planted_hub"]
