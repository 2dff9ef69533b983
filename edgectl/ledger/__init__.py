"""The durable record: one record a second, exact sums, a Merkle tree, and signed tree heads.

payload   what one record says
record    its bytes, its leaf, and packs of them
merkle    the tree of RFC 6962
month     one month's file; store   all of them, and what can be asked
seal      every byte of a file; heads   signed tree heads; keys   who signs
factors   which emission factor stood behind a second
writer    journal records in, whole seconds out
verify    is all of it as it was signed; receipt   one tenant's part, with its proof
"""

from edgectl.ledger.payload import Kind, canonical
from edgectl.ledger.rows import Cursor, Entry, Gap, Row, Totals
from edgectl.ledger.store import Ledger, data_dir
from edgectl.ledger.writer import LedgerWriter

__all__ = [
    "Cursor",
    "Entry",
    "Gap",
    "Kind",
    "Ledger",
    "LedgerWriter",
    "Row",
    "Totals",
    "canonical",
    "data_dir",
]
