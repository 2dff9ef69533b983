"""How well hourly matching is known: it bends where what was bought is what contracts deliver.

What contracts cover, and the carbon of an hour, rise with what was bought, in straight pieces
that meet where a contract is used up. Both are worked out anew at the ends of what was bought, so
that they cover it on either side of a bend. Volumes are exact: certificates are issued, and
cancelled, in whole numbers. Factors are not, but one of 0 is by convention 0.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from edgectl.accounting.scope2 import Lot, cover
from edgectl.accounting.uncertainty import (
    MJ_MG_PER_UG,
    Bound,
    Ends,
    factor_part,
    known_to,
    sum_bound,
    sum_ends,
    through,
)

RESIDUAL = "residual mix"


@dataclass(frozen=True, slots=True)
class MarketFactors:
    """Relative standard uncertainties of the factors: of the residual mix, and by contract."""

    residual_mg_per_kwh: int
    residual_u_ratio: float
    contract_u_ratio: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class HourBounds:
    """One hour: what was bought, covered by the contracts of a kind, left over, and its carbon."""

    bought: Bound
    lots: Sequence[Lot]
    factors: MarketFactors

    def taken(self, wanted: Callable[[Lot], bool] = lambda lot: True) -> Ends:
        """mJ that the lots which are wanted cover."""
        return self._through(lambda taken, left: sum(mj for lot, mj in taken if wanted(lot)))

    def residual(self) -> Ends:
        """mJ that no contract covers."""
        return self._through(lambda taken, left: left)

    def surplus(self) -> tuple[float, float]:
        """Least and most mJ that were delivered beyond what was bought: it falls as that rises."""
        whole = sum(each.energy_mj for each in self.lots)
        taken = self.taken()
        return max(0.0, whole - taken.high), whole - max(0.0, taken.low)

    def carbon(self) -> Ends:
        """ug: energy through its bends, and factors, which err in every hour alike."""
        factors = self.factors

        def of(taken: Iterable[tuple[Lot, float]], left_mj: float) -> float:
            whole = sum(mj * lot.mg_per_kwh for lot, mj in taken)
            return (whole + left_mj * factors.residual_mg_per_kwh) / MJ_MG_PER_UG

        energy = self._through(of)
        taken, left_mj = cover(self.bought.value, self.lots)
        erring = [
            _factor(lot.contract, mj, lot.mg_per_kwh, factors.contract_u_ratio[lot.contract])
            for lot, mj in taken
        ]
        erring.append(
            _factor(RESIDUAL, left_mj, factors.residual_mg_per_kwh, factors.residual_u_ratio)
        )
        return Ends(sum_bound((energy.down, *erring)), sum_bound((energy.up, *erring)))

    def _through(self, of: Callable[[Sequence[tuple[Lot, float]], float], float]) -> Ends:
        return through(self.bought, lambda mj: of(*cover(mj, self.lots)))


def _factor(name: str, mj: float, mg_per_kwh: int, u_ratio: float) -> Bound:
    """What a factor's error adds to a sum that has its energy already."""
    known = known_to(factor_part(name), mj * mg_per_kwh / MJ_MG_PER_UG, u_ratio)
    return Bound(0.0, known.u, parts=known.parts)


def market_carbon(hours: Iterable[HourBounds]) -> Ends:
    """ug of a period, meters and factors erring in all its hours alike."""
    return sum_ends(each.carbon() for each in hours)
