"""One colour for one thing, in every picture; ink and lines are set by the page they stand on."""

from edgectl.reports import mixture

INK, FAINT, PAPER = "#0a0b0c", "#0d0e0f", "#fafbfc"  # replaced: on screen by CSS, in print by:
PRINT = {INK: "#1c2430", FAINT: "#c9d0d8", PAPER: "#ffffff"}
SCREEN = {INK: "var(--ink)", FAINT: "var(--line)", PAPER: "var(--paper)"}

ORIGIN = {
    mixture.PV: "#e0a10b",
    mixture.FROM_PV: "#a8740a",
    mixture.GRID: "#4a74a8",
    mixture.FROM_GRID: "#8fb0d6",
    mixture.GENERATOR: "#a23b3b",
    mixture.FROM_GENERATOR: "#cf8a8a",
    mixture.FROM_BEFORE: "#8b8f99",
    mixture.UNMETERED: "#b0569a",
}
SAID = {
    mixture.PV: "PV direct",
    mixture.FROM_PV: "PV through battery",
    mixture.GRID: "Grid",
    mixture.FROM_GRID: "Grid through battery",
    mixture.GENERATOR: "Generator",
    mixture.FROM_GENERATOR: "Generator through battery",
    mixture.FROM_BEFORE: "Battery, stored before the ledger",
    mixture.UNMETERED: "Unmetered",
}
BATTERY = "#3f8f6b"


def of_source(name: str) -> str:
    """Of a source of the ledger; a battery has its own."""
    return {"grid": ORIGIN["grid"], "pv": ORIGIN["pv"], "unmetered": ORIGIN["unmetered"]}.get(
        name, BATTERY
    )


def on(svg: str, page: dict[str, str]) -> str:
    """The picture with the inks of SCREEN or PRINT."""
    for placeholder, ink in page.items():
        svg = svg.replace(placeholder, ink)
    return svg
