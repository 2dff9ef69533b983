"""One link of the master without its socket and its clock, for tests of what is asked when.

What a link asks, and what an answer, a refusal or a loss means to it, is the
kernel's own exchange. Only the wire and the time are the caller's.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from edgectl._kernel.exchange cimport (
    exchange_answered, exchange_choose, exchange_connected, exchange_failed, exchange_refused)
from edgectl._kernel.fieldbus cimport (
    Bus, BusDevice, BusDeviceRow, Exchange, Link, LinkRow, ProbeRow, bus_mark)
from edgectl._kernel.kernel cimport Kernel
from edgectl._kernel.process_image cimport BLOCK_WORDS_MAX, OUTPUT_COMMITTED, image_commit

from edgectl._kernel.fieldbus import RequestKind


cdef class LinkBench:
    """The first link of these tables. Times are ns of the caller's own clock, growing."""

    cdef Bus bus
    cdef Kernel kernel
    cdef object tables

    def __cinit__(self, Kernel kernel not None, const LinkRow[::1] links not None,
                  const BusDeviceRow[::1] devices not None, const ProbeRow[::1] probes not None):
        cdef Bus* bus = &self.bus
        if links.shape[0] != 1 or devices.shape[0] != links[0].devices:
            raise ValueError("the bench has one link, with all devices behind it")
        self.kernel, self.tables = kernel, (links, devices, probes)
        bus.image = &kernel.state.image
        bus.links_count = 1
        bus.link_rows, bus.device_rows = &links[0], &devices[0]
        bus.probe_rows = &probes[0] if probes.shape[0] else NULL
        bus.links = <Link*> calloc(1, sizeof(Link))
        bus.devices = <BusDevice*> calloc(devices.shape[0], sizeof(BusDevice))
        bus.block_due = <uint8_t*> calloc(max(bus.image.blocks, 1), 1)
        bus.block_due_ns = <int64_t*> calloc(max(bus.image.blocks, 1), sizeof(int64_t))
        bus.block_hold_ns = <int64_t*> calloc(max(bus.image.blocks, 1), sizeof(int64_t))
        if not (bus.links and bus.devices and bus.block_due and bus.block_due_ns
                and bus.block_hold_ns):
            raise MemoryError
        for at in range(devices.shape[0]):
            bus.links[0].outputs += devices[at].outputs

    def __dealloc__(self):
        free(self.bus.links)
        free(self.bus.devices)
        free(self.bus.block_due)
        free(self.bus.block_due_ns)
        free(self.bus.block_hold_ns)

    def connect(self, int64_t now_ns):
        """The connection stands, or the port is open."""
        exchange_connected(&self.bus, 0, now_ns)

    def mark(self, int64_t period, int64_t now_ns):
        """The burst before a scan: mark the reads that are due in this period."""
        self.bus.period = period
        bus_mark(&self.bus, now_ns)

    def commit(self, int output, double value):
        """Put a set point into the output image, as the scan does; whether it was taken."""
        if not 0 <= output < self.bus.image.outputs:
            raise ValueError(f"no output {output}")
        return image_commit(self.bus.image, output, value) == OUTPUT_COMMITTED

    def ask(self, int64_t now_ns, int place=0):
        """What goes on the wire now: (RequestKind, device, item, function, count); None: nothing.

        item   its probe, block or output
        place  where it waits for its answer: the first of the link's outstanding_max where
               nothing waits, as the link itself does it
        """
        cdef Link* link = &self.bus.links[0]
        cdef Exchange* asked = self._at(place)
        cdef int before
        for before in range(place):
            if not link.exchanges[before].waiting:
                raise ValueError(f"place {place} is asked for while {before} is free")
        if asked.waiting:
            raise ValueError(f"a request is outstanding in place {place}")
        if not exchange_choose(&self.bus, 0, asked, now_ns):
            return None
        asked.waiting, asked.sent_ns = True, now_ns
        link.outstanding += 1
        return (RequestKind(asked.kind), asked.device, asked.item, asked.request.function,
                asked.request.count)

    cdef Exchange* _at(self, int place) except NULL:
        if not 0 <= place < self.bus.link_rows[0].outstanding_max:
            raise ValueError(f"place {place}; the link has {self.bus.link_rows[0].outstanding_max}")
        return &self.bus.links[0].exchanges[place]

    cdef Exchange* _ended(self, int place) except NULL:
        cdef Exchange* asked = self._at(place)
        if not asked.waiting:
            raise ValueError(f"nothing is outstanding in place {place}")
        asked.waiting = False
        self.bus.links[0].outstanding -= 1
        return asked

    def answer(self, int64_t now_ns, int word=0, int place=0):
        """An outstanding request was answered, each register with the same word."""
        cdef uint16_t words[BLOCK_WORDS_MAX]
        cdef int32_t at
        memset(words, 0, sizeof(words))
        for at in range(BLOCK_WORDS_MAX):
            words[at] = word
        exchange_answered(&self.bus, self._ended(place), words, now_ns)

    def refuse(self, int exception, int64_t now_ns, int place=0):
        """An outstanding request was answered by an exception."""
        exchange_refused(&self.bus, self._ended(place), exception, now_ns)

    def lose(self, int64_t now_ns, int place=0):
        """An outstanding request timed out, or its answer was not to be believed."""
        exchange_failed(&self.bus, 0, self._ended(place), now_ns)

    def poll_ns(self, int device):
        """From the due mark of a device's last block that was answered, to its answer."""
        return self.bus.image.links[device].poll_ns
