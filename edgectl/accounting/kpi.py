"""Key figures as views of the same books: ISO/IEC 30134, ISO/IEC 21031 (SCI), 24/7 CFE,
and the indicators of (EU) 2024/1364.

Every figure is an exact fraction with its unit, the standard it follows and what had to
be declared with it. The figures take energy in any one unit, mJ here, and carbon in ug.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction

from edgectl.errors import DataError

MJ_PER_KILOWATT_HOUR = 3_600_000_000
UG_PER_KILOGRAM = 1_000_000_000


class PueCategory(StrEnum):
    """Where IT energy is metered (ISO/IEC 30134-2): it decides what PUE means."""

    UPS_OUTPUT = "1: UPS output (basic)"
    PDU_OUTPUT = "2: PDU output (intermediate)"
    IT_INPUT = "3: input of the IT equipment (advanced)"


@dataclass(frozen=True, slots=True)
class Figure:
    """One key figure."""

    name: str
    exact: Fraction
    unit: str
    standard: str
    declared: str = ""

    @property
    def value(self) -> float:
        """The nearest double."""
        return float(self.exact)


def pue(facility_mj: int, it_mj: int, category: PueCategory) -> Figure:
    """Power usage effectiveness. Annual by the standard; for less the period is declared.

    Raises DataError without IT energy, or with less in all than in IT.
    """
    _need(it_mj > 0, "PUE", f"IT energy is {it_mj} mJ")
    _need(facility_mj >= it_mj, "PUE", f"{facility_mj} mJ in all is under {it_mj} mJ of IT")
    return Figure(
        "PUE", Fraction(facility_mj, it_mj), "1", "ISO/IEC 30134-2", f"category {category}"
    )


def cue(carbon_ug: int, it_mj: int) -> Figure:
    """Carbon usage effectiveness, kg CO2e per kWh of IT energy."""
    _need(it_mj > 0, "CUE", f"IT energy is {it_mj} mJ")
    exact = Fraction(carbon_ug * MJ_PER_KILOWATT_HOUR, it_mj * UG_PER_KILOGRAM)
    return Figure("CUE", exact, "kg/kWh", "ISO/IEC 30134-8")


def wue(water_litres: Fraction | int, it_mj: int) -> Figure:
    """Water usage effectiveness, L per kWh of IT energy (m3/MWh is the same number)."""
    _need(it_mj > 0, "WUE", f"IT energy is {it_mj} mJ")
    exact = Fraction(water_litres) * MJ_PER_KILOWATT_HOUR / it_mj
    return Figure("WUE", exact, "L/kWh", "ISO/IEC 30134-9")


def ref(renewable_mj: int, facility_mj: int) -> Figure:
    """Renewable energy factor: only what is owned, and whose certificates are cancelled."""
    _need(facility_mj > 0, "REF", f"energy in all is {facility_mj} mJ")
    declared = "certificates cancelled; capped at 1"
    exact = min(Fraction(renewable_mj, facility_mj), Fraction(1))
    return Figure("REF", exact, "1", "ISO/IEC 30134-3", declared)


def erf(reused_mj: int, facility_mj: int) -> Figure:
    """Energy reuse factor, at the hand-over, less what cools the site itself."""
    _need(facility_mj > 0, "ERF", f"energy in all is {facility_mj} mJ")
    return Figure("ERF", Fraction(reused_mj, facility_mj), "1", "ISO/IEC 30134-6")


@dataclass(frozen=True, slots=True)
class CfeHour:
    """One hour: what was drawn, contracted clean delivery, and the grid's clean share."""

    load_mj: int
    clean_mj: int
    grid_clean: Fraction = Fraction(0)

    @property
    def clean_of_load_mj(self) -> Fraction:
        """Clean energy of the hour; a surplus is capped at the load and never carried."""
        own_mj = min(self.load_mj, self.clean_mj)
        return own_mj + (self.load_mj - own_mj) * self.grid_clean


def cfe(hours: Iterable[CfeHour]) -> Figure:
    """24/7 carbon-free energy score: hours weighted by load."""
    listed = list(hours)
    load_mj = sum(each.load_mj for each in listed)
    _need(load_mj > 0, "CFE", f"the load of {len(listed)} hours is {load_mj} mJ")
    for each in listed:
        _need(
            min(each.load_mj, each.clean_mj) >= 0 and 0 <= each.grid_clean <= 1, "CFE",
            f"an hour has {each.load_mj} mJ of load, {each.clean_mj} mJ clean, "
            f"grid {float(each.grid_clean):g}",
        )  # fmt: skip
    clean = sum((each.clean_of_load_mj for each in listed), Fraction(0))
    return Figure("CFE", clean / load_mj, "1", "24/7 CFE, hourly", f"{len(listed)} hours")


def embodied(
    total: Fraction, reserved_s: Fraction, life_s: Fraction, share: Fraction = Fraction(1)
) -> Fraction:
    """SCI's M = TE * TiR/EL * RR/ToR, in the unit of `total`."""
    _need(life_s > 0, "SCI", f"an expected life of {float(life_s):g} s")
    return total * reserved_s / life_s * share


def sci(operational: Fraction, embodied_part: Fraction, units: Fraction, unit: str) -> Figure:
    """Software carbon intensity ((E I) + M) per R, in g if both parts are in g.

    unit   of R, with its counter named: job at the scheduler, request at the proxy, ...
    """
    _need(units > 0 and bool(unit), "SCI", f"R is {float(units):g} of '{unit}'")
    exact = (operational + embodied_part) / units
    return Figure("SCI", exact, f"g/{unit}", "ISO/IEC 21031", "I is a location average")


@dataclass(frozen=True, slots=True)
class EedEnergy:
    """What (EU) 2024/1364 Annex III makes its four indicators of, for a calendar year."""

    facility_mj: int
    it_mj: int
    water_litres: int
    reused_mj: int
    renewable_goo_mj: int
    renewable_ppa_mj: int
    renewable_own_mj: int

    @property
    def renewable_mj(self) -> int:
        """E_RES-TOT: the three kinds, of which each megawatt hour is in one."""
        return self.renewable_goo_mj + self.renewable_ppa_mj + self.renewable_own_mj


def eed(year: EedEnergy, category: PueCategory) -> tuple[Figure, Figure, Figure, Figure]:
    """PUE, WUE, ERF and REF as the regulation has them."""
    return (
        pue(year.facility_mj, year.it_mj, category),
        wue(year.water_litres, year.it_mj),
        erf(year.reused_mj, year.facility_mj),
        ref(year.renewable_mj, year.facility_mj),
    )


def _need(true: bool, name: str, problem: str) -> None:
    if not true:
        raise DataError(
            where=name,
            problem=problem,
            because="A ratio of this has no meaning, and a report would carry it on.",
            remedy="Check the meters' roles and the period.",
        )
