"""Carbon per unit of compute: SCI of ISO/IEC 21031, (E I + M) / R, each term with what bounds it.

E I errs with the tenant's meters, the sources' and the factor, which stands in the tenant's own
carbon and in its share of cooling and losses alike. M is declared. R is a count, and exact unless
it is declared otherwise.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from edgectl.accounting import kpi
from edgectl.accounting.uncertainty import (
    Bound,
    combined,
    known_to,
    ratio_bound,
    sum_bound,
)
from edgectl.reports.books import Books
from edgectl.reports.declared import Embodied
from edgectl.reports.figures import Balance, Measured
from edgectl.reports.metering import Paths, traced_ug
from edgectl.reports.words import iso

# Our choice. A study of one server found 15 % (95 %) in its production (Weber, Journal of
# Industrial Ecology 16-2, 2012); what is declared is mostly of another configuration.
EMBODIED_U_RATIO = 0.3
UG_PER_G = 10**6


def overhead_ug_per_mj(balance: Balance) -> Fraction:
    """ug of what is consumed and is not IT, per mJ of IT; carbon is shared as energy is."""
    if not balance.it_mj or not balance.facility_mj:
        return Fraction(0)
    other_mj = balance.facility_mj - balance.it_mj
    return Fraction(balance.used_ug, balance.facility_mj) * other_mj / balance.it_mj


def overhead_ug(measured: Measured, own: Bound) -> Bound:
    """A tenant's share of cooling and losses: own energy x carbon x (1/IT - 1/all).

    own   the tenant's energy, mJ, which is a part of IT and errs with it
    """
    it, facility, used = measured.it, measured.facility, measured.used
    value = own.value * float(overhead_ug_per_mj(measured.balance))
    if not it.value or not facility.value:
        return Bound(value, 0.0)
    more = 1 / it.value - 1 / facility.value
    return combined(value, (
        (used.value * more, own), (own.value * more, used),
        (-own.value * used.value / it.value**2, it),
        (own.value * used.value / facility.value**2, facility),
    ))  # fmt: skip


@dataclass(frozen=True, slots=True)
class Part:
    """One term of a figure: exactly, and with its bound, in g."""

    exact: Fraction
    bound: Bound


def sci(measured: Measured, paths: Paths, tenant: str | None) -> list[dict[str, Any]]:
    """Carbon per unit of each counter that tenants declared.

    paths    of the period with their bounds, see metering.over()
    tenant   whose counters alone are told
    """
    found = []
    for (owner, name, source), (units, unit, span) in _counted(measured.books).items():
        if tenant is not None and owner != tenant:
            continue
        operational = _operational(measured, paths, owner)
        life = next((each for each in measured.declared.embodied if each.tenant == owner), None)
        embodied = _embodied(measured.books, life)
        u_ratio = measured.declared.counter_u_ratio(owner, name, source)
        count = known_to(f"count {source} {name}", float(units), u_ratio or 0.0)
        row = {
            "tenant": owner, "counter": name, "source": source, "unit": unit,
            "units": float(units), "units_low": max(0.0, count.low), "units_high": count.high,
            "units_said": "a count, taken as exact" if u_ratio is None
            else f"a count, declared to {100 * u_ratio:g} % standard uncertainty",
            "from_utc": iso(span[0]), "to_utc": iso(span[1]),
            **_amount("operational_g", operational), **_amount("embodied_g", embodied),
            "embodied_said": _embodied_said(life),
            "g_per_unit": None,
        }  # fmt: skip
        if units > 0:
            whole = sum_bound((operational.bound, embodied.bound))
            bound = ratio_bound(whole, count)
            value = kpi.sci(operational.exact, embodied.exact, units, unit).value
            row |= {
                "g_per_unit": value, "g_per_unit_low": max(0.0, bound.low),
                "g_per_unit_high": bound.high,
            }  # fmt: skip
        found.append(row)
    return found


def _amount(name: str, part: Part) -> dict[str, float]:
    return {name: float(part.exact), f"{name}_low": max(0.0, part.bound.low),
            f"{name}_high": part.bound.high}  # fmt: skip


def _operational(measured: Measured, paths: Paths, owner: str) -> Part:
    """A tenant's own carbon and its share of cooling and losses."""
    books, loads = measured.books, _loads_of(measured.books, owner)
    own_mj = {
        load: sum(mj for (_, sink), mj in books.energy().items() if sink == load) for load in loads
    }
    own_ug = sum(ug for (_, sink), ug in books.carbon().items() if sink in loads)
    exact = own_ug + sum(own_mj.values()) * overhead_ug_per_mj(measured.balance)
    over = overhead_ug(measured, measured.bounds.energy(own_mj))
    bound = sum_bound((traced_ug(paths, loads, own_ug), over))
    return Part(exact / UG_PER_G, _scaled(bound, 1 / UG_PER_G))


def _scaled(bound: Bound, scale: float) -> Bound:
    return combined(bound.value * scale, ((scale, bound),))


def _embodied(books: Books, life: Embodied | None) -> Part:
    if life is None:
        return Part(Fraction(0), Bound(0.0, 0.0))
    exact = kpi.embodied(
        Fraction(str(life.total_g)), Fraction(books.seconds), Fraction(str(life.life_s)),
        Fraction(str(life.share)),
    )  # fmt: skip
    return Part(exact, known_to(f"embodied {life.tenant}", float(exact), _u_ratio(life)))


def _u_ratio(life: Embodied) -> float:
    u_ratio = life.standard_uncertainty_ratio
    return EMBODIED_U_RATIO if u_ratio is None else u_ratio


def _embodied_said(life: Embodied | None) -> str:
    if life is None:
        return "not declared: M is 0, the figure is too low"
    how = "taken as" if life.standard_uncertainty_ratio is None else "with"
    return f"declared, {how} {100 * _u_ratio(life):g} % standard uncertainty"


def _counted(books: Books) -> dict[Any, Any]:
    """Units between the first and last booking of each counter: units, unit, times."""
    first: dict[Any, dict[str, Any]] = {}
    last: dict[Any, dict[str, Any]] = {}
    for each in books.counters:
        key = (each["tenant"], each["name"], each["source"])
        first.setdefault(key, each)
        last[key] = each
    return {
        key: (
            Fraction(str(last[key]["value"])) - Fraction(str(first[key]["value"])),
            last[key]["unit"], (first[key]["utc_s"], last[key]["utc_s"]),
        )
        for key in first
    }  # fmt: skip


def _loads_of(books: Books, tenant: str) -> set[str]:
    names = books.names
    tenants = names.tenants if names else ()
    return {load for each in tenants if each["id"] == tenant for load in each["loads"]}
