"""Whatever flowed: the parts of a report are the ledger's own sums, to the last mJ and ug."""

import tempfile
from collections import Counter
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from report_rig import START_S, BookRig

from edgectl.ledger import Ledger
from edgectl.ledger.verify import verify
from edgectl.reports.books import read_books
from edgectl.reports.document import Asked, make_document
from edgectl.reports.period import period_of

SOURCES, SINKS = ("grid", "pv", "unmetered", "B1", "B2"), ("IT-A", "IT-B", "COOLING", "B1", "B2",
                                                           "export", "losses")  # fmt: skip
amount = st.integers(0, 10**12)
flows = st.dictionaries(
    st.tuples(st.sampled_from(SOURCES), st.sampled_from(SINKS)), st.tuples(amount, amount),
    max_size=12,
)  # fmt: skip
second = st.tuples(st.integers(1, 2_000), flows, st.lists(st.tuples(amount, amount), min_size=2,
                                                          max_size=2))  # fmt: skip


@settings(max_examples=40)
@given(seconds=st.lists(second, min_size=1, max_size=12), cut=st.integers(0, 20_000),
       efficiency=st.sampled_from([0.5, 0.95, 1.0]))  # fmt: skip
def test_parts_are_the_ledgers_sums(
    seconds: list[tuple[int, dict[tuple[str, str], tuple[int, int]], list[tuple[int, int]]]],
    cut: int, efficiency: float,
) -> None:  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        rig = BookRig(Path(folder), batteries=("B1", "B2"))
        utc_s = START_S
        for step_s, flowed, stocks in seconds:
            utc_s += step_s
            rig.second(utc_s, flowed, stocks)
        rig.write()
        efficiencies = dict.fromkeys(("B1", "B2"), (efficiency, efficiency))
        with Ledger("rig", rig.where, read_only=True) as ledger:
            totals = ledger.totals()
            from_s, to_s = period_of(ledger, None, None)
            books = read_books(ledger, from_s, to_s, efficiencies)
            halves = [
                read_books(ledger, low, high, efficiencies)
                for low, high in ((from_s, from_s + cut), (from_s + cut, to_s))
                if any(low <= row.utc_s < high for row, _ in rig.rows[1:])
            ]
        assert books.energy() == totals.energy_mj
        assert books.carbon() == totals.carbon_ug
        assert sum((each.energy() for each in halves), Counter()) == +totals.energy_mj
        (verdict,) = verify(rig.where)
        check = make_document(Asked(books, verdict, utc_s, "0"))["check"]
        assert check["ledger_mj"] == sum(totals.energy_mj.values())
        assert {check[name] for name in check if "difference" in name} == {0}
