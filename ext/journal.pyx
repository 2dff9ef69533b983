"""The shared-memory segment: snapshot (seqlock), journal ring, request mailbox.

The kernel writes and never reads back, the mailbox apart, and believes nothing
it finds there: its own counters are kept outside the segment, and a mailbox
entry that is torn, out of turn or unknown is dropped. Readers can never block
it. Layout: docs/architecture.md and edgectl/image/layout.py.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t
from libc.string cimport memcpy

from edgectl._kernel.atomic cimport fence, load64, store64

cdef enum:
    MAIL_CHECK = 0x5EED


cdef uint8_t* journal_open(Segment* segment) noexcept nogil:
    """Place of the next record. A reader sees it only after journal_close.

    The fence keeps this record's stores behind the head that was published
    before: a reader that sees them also sees that the ring has come round.
    """
    fence()
    return segment.journal \
        + (segment.next_seq % segment.journal_slots) * segment.record_bytes


cdef void journal_close(Segment* segment) noexcept nogil:
    """Publish the record that was opened."""
    segment.next_seq += 1
    store64(&segment.head.journal_head, segment.next_seq)


cdef uint8_t* snapshot_open(Segment* segment) noexcept nogil:
    """Enter the snapshot: readers that look now will look again."""
    segment.snapshot_seq += 1
    store64(&segment.head.snapshot_seq, segment.snapshot_seq)
    fence()
    return segment.snapshot


cdef void snapshot_close(Segment* segment) noexcept nogil:
    """Leave the snapshot, whole again."""
    segment.snapshot_seq += 1
    store64(&segment.head.snapshot_seq, segment.snapshot_seq)


cdef bint mailbox_take(Segment* segment, Mail* mail) noexcept nogil:
    """Copy the next request out; false when there is none.

    A head that was moved wildly makes the reader skip to it, so that no
    producer can make a scan long. A dropped entry comes back with kind 0.
    """
    cdef int64_t head = load64(&segment.head.mailbox_head)
    if head == segment.mailbox_tail:
        return False
    if head < segment.mailbox_tail or head - segment.mailbox_tail > MAILBOX_SLOTS:
        segment.mailbox_tail = head
        store64(&segment.head.mailbox_tail, head)
        mail.kind = 0
        return True
    memcpy(mail, &segment.mailbox[segment.mailbox_tail % MAILBOX_SLOTS], sizeof(Mail))
    if mail.seq != segment.mailbox_tail \
            or mail.check != (mail.kind ^ mail.target ^ mail.authority ^ MAIL_CHECK):
        mail.kind = 0
    segment.mailbox_tail += 1
    store64(&segment.head.mailbox_tail, segment.mailbox_tail)
    return True


def load_acquire(const uint8_t[::1] segment, Py_ssize_t offset):
    """One 64-bit counter of the segment, ordered before everything read after it."""
    if offset < 0 or offset % 8 or offset + 8 > segment.shape[0]:
        raise ValueError(f"no 64-bit counter at offset {offset} of {segment.shape[0]} bytes")
    return load64(<const int64_t*> &segment[offset])


def full_fence():
    """Order everything read before against everything read after."""
    fence()
