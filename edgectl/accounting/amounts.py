"""Three kinds of carbon that are never added to one another.

They are types of their own, so that a program that mixes them is refused by the type
checker, and by Python where nobody checked. Marginal carbon has no addition with
anything and no place in an Inventory: it steers decisions.
"""

from dataclasses import dataclass, field
from typing import Self


@dataclass(frozen=True, slots=True)
class LocationCarbon:
    """ug CO2e at the grid's average of the place and hour."""

    ug: int

    def __add__(self, other: Self) -> "LocationCarbon":
        """Only with its own kind."""
        return LocationCarbon(self.ug + other.ug) if type(other) is type(self) else NotImplemented


@dataclass(frozen=True, slots=True)
class MarketCarbon:
    """ug CO2e by contracts, certificates and the residual mix."""

    ug: int

    def __add__(self, other: Self) -> "MarketCarbon":
        """Only with its own kind."""
        return MarketCarbon(self.ug + other.ug) if type(other) is type(self) else NotImplemented


@dataclass(frozen=True, slots=True)
class MarginalCarbon:
    """ug CO2e that a decision would cause or avoid. It is in no inventory, and has no sum."""

    ug: int


@dataclass(slots=True)
class Inventory:
    """The two ledgers of scope 2, side by side; there is no total of both."""

    location: LocationCarbon = field(default_factory=lambda: LocationCarbon(0))
    market: MarketCarbon = field(default_factory=lambda: MarketCarbon(0))

    def book(self, amount: LocationCarbon | MarketCarbon) -> None:
        """Add to the ledger of its kind. TypeError for anything else."""
        if isinstance(amount, LocationCarbon):
            self.location += amount
        elif isinstance(amount, MarketCarbon):
            self.market += amount
        else:
            raise TypeError(f"{type(amount).__name__} has no place in an inventory")
