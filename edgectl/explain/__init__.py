"""Why a setpoint is what it is: the chain from request to effect, from one record's figures."""

from edgectl.explain.causes import RowNow, row_now
from edgectl.explain.chain import Answer, Step, why_storage
from edgectl.explain.others import why_flexible, why_pv, why_row
from edgectl.explain.scene import Scene

__all__ = [
    "Answer",
    "RowNow",
    "Scene",
    "Step",
    "row_now",
    "why_flexible",
    "why_pv",
    "why_row",
    "why_storage",
]
