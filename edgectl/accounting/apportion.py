"""Whole numbers out of exact shares, so that the parts add up to the total to the last unit.

Largest remainder: every share is rounded down, and the units left over go to the
largest fractions, ties to the earlier place. Each part is then within one unit of its
exact share. A table whose rows and columns are both metered takes the same rule in two
directions; where greed alone cannot meet both sums, units are moved along a path of
fractional cells, so that no cell ever leaves the two whole numbers beside its share.
"""

from collections.abc import Sequence
from fractions import Fraction

MJ_MG_PER_UG = 3_600_000  # mJ * mg/kWh / 3 600 000 = ug

Table = list[list[int]]


def largest_remainder(total: int, weights: Sequence[int | Fraction]) -> list[int]:
    """Split a whole amount by weights.

    total     what is split, not negative
    weights   not negative; all zero only where total is zero

    Raises ValueError for a negative weight or amount, or an amount that nobody takes.
    """
    whole = sum(weights)
    if total < 0 or any(each < 0 for each in weights):
        raise ValueError(f"neither an amount ({total}) nor a weight may be negative")
    if whole == 0:
        if total:
            raise ValueError(f"{total} has nobody to go to: every weight is zero")
        return [0] * len(weights)
    exact = [Fraction(total) * each / whole for each in weights]
    parts = [each.numerator // each.denominator for each in exact]
    by_fraction = sorted(range(len(parts)), key=lambda at: (parts[at] - exact[at], at))
    for at in by_fraction[: total - sum(parts)]:
        parts[at] += 1
    return parts


def largest_remainder_table(exact: Sequence[Sequence[Fraction]]) -> Table:
    """Round a table whose row and column sums are whole, and keep every one of them.

    Raises ValueError where a sum is not whole.
    """
    parts = [[each.numerator // each.denominator for each in row] for row in exact]
    row_left = [_whole(sum(row, Fraction(0))) - sum(parts[at]) for at, row in enumerate(exact)]
    column_left = [
        _whole(sum((row[at] for row in exact), Fraction(0))) - sum(row[at] for row in parts)
        for at in range(len(exact[0]) if exact else 0)
    ]
    cells = [
        (parts[row][column] - each, row, column)
        for row, line in enumerate(exact)
        for column, each in enumerate(line)
        if each != parts[row][column]
    ]
    up = [[False] * len(column_left) for _ in row_left]
    open_cells = [[False] * len(column_left) for _ in row_left]
    for _, row, column in sorted(cells):
        open_cells[row][column] = True
        if row_left[row] and column_left[column]:
            _raise(up, row, column, row_left, column_left)
    for row, left in enumerate(row_left):
        for _ in range(left):
            _augment(row, open_cells, up, column_left)
    return [
        [part + raised for part, raised in zip(line, lift, strict=True)]
        for line, lift in zip(parts, up, strict=True)
    ]


def _whole(amount: Fraction) -> int:
    if amount.denominator != 1:
        raise ValueError(f"a sum of the table is {amount}: it must be whole to be kept")
    return amount.numerator


def _raise(
    up: list[list[bool]], row: int, column: int, row_left: list[int], column_left: list[int]
) -> None:
    up[row][column] = True
    row_left[row] -= 1
    column_left[column] -= 1


def _augment(
    start: int, open_cells: list[list[bool]], up: list[list[bool]], column_left: list[int]
) -> None:
    """Give one row one unit more: a shortest path of alternately raised and lowered cells.

    The exact shares are themselves a flow that meets every sum, so a path always exists.
    """
    from_row: dict[int, int] = {}  # column: the row that would raise its cell there
    lowered: dict[int, int] = {start: -1}  # row: the column in which it would be lowered
    queue = [start]
    for row in queue:
        for column, is_open in enumerate(open_cells[row]):
            if not is_open or up[row][column] or column in from_row:
                continue
            from_row[column] = row
            if column_left[column]:
                column_left[column] -= 1
                _flip(column, from_row, lowered, up)
                return
            for other in range(len(up)):
                if up[other][column] and other not in lowered:
                    lowered[other] = column
                    queue.append(other)
    raise AssertionError("a table with whole sums can always be rounded")


def _flip(
    column: int, from_row: dict[int, int], lowered: dict[int, int], up: list[list[bool]]
) -> None:
    while column >= 0:
        row = from_row[column]
        up[row][column] = True
        column = lowered[row]
        if column >= 0:
            up[row][column] = False


class CarbonCarry:
    """Carbon of energies at intensities, as the kernel books it: remainders are carried."""

    def __init__(self) -> None:
        self.remainder = 0  # of MJ_MG_PER_UG

    def book_ug(self, energy_mj: int, mg_per_kwh: int) -> int:
        """The whole micrograms of this energy and of what was left over before it."""
        whole, self.remainder = divmod(energy_mj * mg_per_kwh + self.remainder, MJ_MG_PER_UG)
        return whole
