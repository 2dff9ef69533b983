"""What was chosen, said in the report itself: a figure without its method is none."""

from collections.abc import Mapping

from edgectl._kernel.inventory import StockMethod, StockStandby
from edgectl.accounting.cbam import ROUNDING
from edgectl.reports.books import Books
from edgectl.reports.compute import EMBODIED_U_RATIO
from edgectl.reports.declared import MJ_PER_KWH, Declared
from edgectl.reports.metering import FACTOR_U_RATIO, UNDECLARED_CLASS, UNDECLARED_CT
from edgectl.site_model import Site

INVENTORIES: dict[int, str] = {
    StockMethod.METHOD_WEIGHTED_AVERAGE: "weighted average: energy and carbon of what is stored",
    StockMethod.METHOD_FIFO: "first in, first out, in slices",
}
POLICIES: dict[int, str] = {
    StockStandby.STANDBY_CONCENTRATE: "A: energy falls, its carbon stays with what is left",
    StockStandby.STANDBY_BOOK: "B: the carbon of energy lost goes to the loss account",
}
UNKNOWN = "not recorded in the ledger, not declared"


def methods(
    books: Books, site: Site | None, declared: Declared, declared_sha256: str | None
) -> list[dict[str, str]]:
    """Each choice: of what, which, and why or with what effect."""
    names, factors = books.names, declared.factors
    recorded = books.factors.source
    source = f"recorded: {recorded}" if recorded else (
        f"source {factors.source or UNKNOWN}, version {factors.version or UNKNOWN}, "
        f"SHA-256 {factors.sha256 or UNKNOWN}"
    )  # fmt: skip
    u_ratio = factors.standard_uncertainty_ratio
    if u_ratio is None:
        u_ratio = names.meters.factor if names else FACTOR_U_RATIO
    rows = [
        ("Tracing", "proportional sharing (Bialek 1996), each scan, in whole mJ and ug",
         "What leaves a bus leaves in the mixture that came in."),
        ("Losses", "a sink of their own at the mixture of the bus",
         "They are part of the data centre's consumption, and of no tenant's."),
        ("Battery inventory", _by_battery(books, "method", INVENTORIES),
         "Charging adds the carbon that came with it, delivering takes it out; nothing is "
         "counted twice."),
        ("Battery origins", "followed by the kernel scan by scan with the inventory, told each "
         "second by the ledger",
         "What was stored before the ledger began is of no known origin, never called clean."),
        ("Standby losses", _by_battery(books, "standby", POLICIES),
         "What goes to the loss account is carbon of the site's own consumption, and of no "
         "tenant's."),
        ("True-ups", f"{sum(each.true_ups for each in books.stocks.values())} at full, empty or "
         "a restart, together "
         f"{sum(each.true_up_mj for each in books.stocks.values()) / MJ_PER_KWH:+.1f} kWh",
         "Meters define the energy; the battery's own state of charge corrects the books where "
         "it is certain."),
        ("Grid factor", f"{names.basis if names else UNKNOWN}, zone "
         f"{names.zone if names else UNKNOWN}; {source}",
         "Booked second by second; a lost feed is replaced by the zone's higher default, and "
         "counted."),
        ("Uncertainty", f"GUM, k = 2. Meters of no declared class count as class "
         f"{UNDECLARED_CLASS} with transformers of class {UNDECLARED_CT}; the grid factor as "
         f"{100 * u_ratio:g} % standard uncertainty"
         f"{'' if u_ratio is not None else ', not declared'}",
         "One meter errs the same way all the time; different meters independently."),
        ("Contracts, counts, what was built", f"volumes of certificates and counts are exact; a "
         f"contract's factor of 0 is 0; any other factor, or the grid's clean share, of no "
         f"declared uncertainty counts as {100 * FACTOR_U_RATIO:g} %, embodied emissions as "
         f"{100 * EMBODIED_U_RATIO:g} %",
         "Our choice, where nobody states one. What contracts cover bends where they are used up: "
         "it is worked out at both ends of what was bought."),
        ("Rounding", f"none before print; {ROUNDING} where a regulation's field has few decimals",
         "The regulations name no rule; this is ours."),
        ("Declared by the operator", "a file with SHA-256 " + declared_sha256
         if declared_sha256 else "nothing: no file was given",
         "Everything declared is marked so."),
    ]  # fmt: skip
    return [{"of": of, "choice": choice, "note": note} for of, choice, note in rows]


def _by_battery(books: Books, name: str, words: Mapping[int, str]) -> str:
    """What the ledger says of each battery; once where all are alike."""
    said = {
        battery: words.get(getattr(stock, name), UNKNOWN) for battery, stock in books.stocks.items()
    }
    if len(set(said.values())) == 1:
        return next(iter(said.values()))
    return "; ".join(f"{battery}: {each}" for battery, each in said.items()) or "no battery"
