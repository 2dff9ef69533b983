"""The shared-memory segment seen from Python: create, attach, read, put mail.

The wall between the controller and everything else. The kernel writes the
segment; readers copy out of it and can neither block nor change it. The one way
in is the mailbox of requests.
"""

from edgectl.image.layout import SegmentLayout, segment_layout
from edgectl.image.mailbox import Mailbox, post
from edgectl.image.paths import remove_segment, segment_path
from edgectl.image.reader import JournalBatch, SegmentReader, attach
from edgectl.image.segment import Segment, create_segment, private_segment

__all__ = [
    "JournalBatch",
    "Mailbox",
    "Segment",
    "SegmentLayout",
    "SegmentReader",
    "attach",
    "create_segment",
    "post",
    "private_segment",
    "remove_segment",
    "segment_layout",
    "segment_path",
]
