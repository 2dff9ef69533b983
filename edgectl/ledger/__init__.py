"""The durable record: one SQLite row a second, exact sums, and a cursor that never slips.

payload   what one row says, in canonical bytes, and the hash of its leaf
store     the files, one a month, and what can be asked of them
writer    journal records in, whole seconds out
"""

from edgectl.ledger.payload import Kind, canonical, leaf_hash
from edgectl.ledger.store import Cursor, Gap, Ledger, Row, Totals, data_dir
from edgectl.ledger.writer import LedgerWriter

__all__ = [
    "Cursor",
    "Gap",
    "Kind",
    "Ledger",
    "LedgerWriter",
    "Row",
    "Totals",
    "canonical",
    "data_dir",
    "leaf_hash",
]
