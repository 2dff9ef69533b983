"""What was chosen, said in the report itself: a figure without its method is none."""

from edgectl.accounting.cbam import ROUNDING
from edgectl.reports.books import Books
from edgectl.reports.declared import Declared
from edgectl.reports.figures import FACTOR_U_RATIO, UNDECLARED_CLASS, UNDECLARED_CT
from edgectl.site_model import Site

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
    efficiencies = ", ".join(
        f"{each.id} {each.charge_efficiency:g} and {each.discharge_efficiency:g}"
        for each in (site.batteries if site else ())
    )
    u_ratio = factors.standard_uncertainty_ratio
    rows = [
        ("Tracing", "proportional sharing (Bialek 1996), each scan, in whole mJ and ug",
         "What leaves a bus leaves in the mixture that came in."),
        ("Losses", "a sink of their own at the mixture of the bus",
         "They are part of the data centre's consumption, and of no tenant's."),
        ("Battery inventory", "weighted average: energy and carbon of what is stored",
         "Charging adds the carbon that came with it, delivering takes it out; nothing is "
         "counted twice."),
        ("Battery origins", "followed minute by minute as a weighted average, held against the "
         f"ledger's stock; efficiencies {efficiencies or 'not known: no site file, taken as 1'}",
         "What was stored before the ledger began is of no known origin, never called clean."),
        ("Standby losses", "energy falls, its carbon stays with what is left",
         "So it is delivered with the rest, and not lost from the books."),
        ("Grid factor", f"{names.basis if names else UNKNOWN}, zone "
         f"{names.zone if names else UNKNOWN}; {source}",
         "Booked second by second; a lost feed is replaced by the zone's higher default, and "
         "counted."),
        ("Uncertainty", f"GUM, k = 2. Meters of no declared class count as class "
         f"{UNDECLARED_CLASS} with transformers of class {UNDECLARED_CT}; the grid factor as "
         f"{100 * (FACTOR_U_RATIO if u_ratio is None else u_ratio):g} % standard uncertainty"
         f"{'' if u_ratio is not None else ', not declared'}",
         "One meter errs the same way all the time; different meters independently."),
        ("Rounding", f"none before print; {ROUNDING} where a regulation's field has few decimals",
         "The regulations name no rule; this is ours."),
        ("Declared by the operator", "a file with SHA-256 " + declared_sha256
         if declared_sha256 else "nothing: no file was given",
         "Everything declared is marked so."),
    ]  # fmt: skip
    return [{"of": of, "choice": choice, "note": note} for of, choice, note in rows]
