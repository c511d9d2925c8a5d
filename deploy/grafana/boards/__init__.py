"""What the dashboards show."""

from __future__ import annotations

from form import Board

from boards.agency import AGENCY
from boards.capacity import CAPACITY
from boards.matching import MATCHING
from boards.overview import OVERVIEW
from boards.pipeline import PIPELINE

BOARDS: tuple[Board, ...] = (OVERVIEW, AGENCY, PIPELINE, MATCHING, CAPACITY)
