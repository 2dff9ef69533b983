"""What each battery holds, by origin, so that what it gives can be told to where it came from.

The ledger books energy out of a battery under the battery's name, with its carbon. Where the
energy had come from is what charged it: followed here minute by minute as a weighted average,
held at the end of each minute against the stock that the ledger itself says.
"""

from collections.abc import Mapping

from edgectl.accounting.apportion import largest_remainder

GRID, PV, UNMETERED, GENERATOR = "grid", "pv", "unmetered", "generator"
FROM_PV, FROM_GRID = "pv through battery", "grid through battery"
FROM_GENERATOR, FROM_BEFORE = "generator through battery", "battery, origin not known"
ORIGINS = (PV, FROM_PV, GRID, FROM_GRID, GENERATOR, FROM_GENERATOR, FROM_BEFORE, UNMETERED)
SOURCES = {GRID: GRID, PV: PV, UNMETERED: UNMETERED}  # any other source is a generator
THROUGH = {GRID: FROM_GRID, PV: FROM_PV, UNMETERED: FROM_BEFORE, GENERATOR: FROM_GENERATOR}

Flows = Mapping[tuple[str, str], int]  # (source, sink): mJ
Origins = dict[tuple[str, str], int]  # (sink, origin): mJ


class Mixture:
    """What is in one battery, mJ stored by origin."""

    def __init__(self) -> None:
        self.stored_mj: dict[str, int] = {}

    def shares(self) -> dict[str, int]:
        """Weights of the origins; all of it unknown while nothing is known to be stored."""
        return self.stored_mj if any(self.stored_mj.values()) else {FROM_BEFORE: 1}

    def draw(self, mj: int) -> None:
        """Take stored energy out, in the mixture it has."""
        self.settle(max(0, sum(self.stored_mj.values()) - mj))

    def fill(self, origin: str, mj: int) -> None:
        """Add stored energy of an origin."""
        self.stored_mj[origin] = self.stored_mj.get(origin, 0) + mj

    def settle(self, stock_mj: int) -> None:
        """Hold what is known against what the ledger says is stored: same mixture, that amount.

        What is there beyond it came before the books, or unseen.
        """
        held_mj = sum(self.stored_mj.values())
        if stock_mj > held_mj:
            self.fill(FROM_BEFORE, stock_mj - held_mj)
        elif stock_mj < held_mj:
            parts = largest_remainder(stock_mj, list(self.stored_mj.values()))
            self.stored_mj = dict(zip(self.stored_mj, parts, strict=True))


class Batteries:
    """All batteries of a site."""

    def __init__(self, efficiency: Mapping[str, tuple[float, float]]) -> None:
        """efficiency   by battery: of charging and discharging; 1 for those not named"""
        self.efficiency = efficiency
        self._mixtures: dict[str, Mixture] = {}

    def minute(self, flows: Flows, names: tuple[str, ...], stocks_mj: Mapping[str, int]) -> Origins:
        """Follow one minute and tell every sink's energy by origin, exactly.

        flows       mJ by source and sink
        names       of the batteries
        stocks_mj   at the end of the minute
        """
        for each in names:
            self._begin(each, flows, stocks_mj.get(each))
        found: Origins = {}
        shares = {each: dict(self._mixtures[each].shares()) for each in names}
        for (source, sink), mj in flows.items():
            for origin, part_mj in self._split(source, mj, shares).items():
                found[sink, origin] = found.get((sink, origin), 0) + part_mj
        for each in names:
            eta_charge, eta_discharge = self.efficiency.get(each, (1.0, 1.0))
            given_mj = sum(mj for (source, _), mj in flows.items() if source == each)
            self._mixtures[each].draw(int(given_mj / eta_discharge))
            for origin in ORIGINS:
                mj = found.get((each, origin), 0)
                if mj:
                    self._mixtures[each].fill(THROUGH.get(origin, origin), int(mj * eta_charge))
            if each in stocks_mj:
                self._mixtures[each].settle(stocks_mj[each])
        return found

    def _begin(self, name: str, flows: Flows, stock_mj: int | None) -> None:
        """The first minute of a battery: what it held before is of no known origin."""
        if name in self._mixtures:
            return
        mixture = self._mixtures[name] = Mixture()
        eta_charge, eta_discharge = self.efficiency.get(name, (1.0, 1.0))
        given_mj = sum(mj for (source, _), mj in flows.items() if source == name)
        taken_mj = sum(mj for (_, sink), mj in flows.items() if sink == name)
        before_mj = (stock_mj or 0) + int(given_mj / eta_discharge) - int(taken_mj * eta_charge)
        if before_mj > 0:
            mixture.fill(FROM_BEFORE, before_mj)

    def _split(
        self, source: str, mj: int, shares: Mapping[str, Mapping[str, int]]
    ) -> dict[str, int]:
        """mJ of one cell by origin."""
        if source not in shares:
            return {SOURCES.get(source, GENERATOR): mj}
        weights = shares[source]
        parts = largest_remainder(mj, list(weights.values()))
        return {each: part for each, part in zip(weights, parts, strict=True) if part}
