"""Who a device says it is: a reply to a probe held against the profile, and its version.

Pure functions of registers; when a device is asked, and what follows, is exchange.pyx's.
"""

from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t, uint64_t

from edgectl._kernel.fieldbus cimport (
    FIRMWARE_BYTES, FIRMWARE_NIBBLES, FIRMWARE_TEXT, PROBE_WORDS_MAX, VERSION_PARTS_MAX,
    FirmwareDecode, ProbeRow)

cdef enum:
    PART_MAX = 0xFFFF            # of a version


cdef bint probe_agrees(const ProbeRow* probe, const uint16_t* words) noexcept nogil:
    """Whether the reply is one of the probe's alternatives under its mask."""
    cdef int32_t alternative, at
    cdef bint same
    for alternative in range(probe.alternatives):
        same = True
        for at in range(probe.count):
            if (words[at] & probe.mask[at]) != probe.words[alternative][at]:
                same = False
        if same:
            return True
    return False


cdef uint64_t text_version(const uint16_t* words, int32_t count) noexcept nogil:
    """The first numbers in a text of two characters a register, up to a NUL."""
    cdef uint64_t key = 0
    cdef uint32_t part = 0
    cdef int32_t parts = 0
    cdef int32_t at
    cdef uint8_t letter
    cdef bint inside = False
    for at in range(2 * count):
        letter = words[at // 2] & 0xFF if at % 2 else words[at // 2] >> 8
        if letter == 0:
            break
        if 48 <= letter <= 57:   # 0 to 9
            part = (part if inside else 0) * 10 + letter - 48
            part = part if part < PART_MAX else PART_MAX
            inside = True
        elif inside:
            inside = False
            parts += 1
            key = key << 16 | part
            if parts == VERSION_PARTS_MAX:
                return key
    if inside:
        parts += 1
        key = key << 16 | part
    return key << (16 * (VERSION_PARTS_MAX - parts)) if parts > 0 else 0


cdef uint64_t version_key(uint8_t decode, const uint16_t* words, int32_t count) noexcept nogil:
    """A version as one number that orders as versions do: four parts of 16 bits.

    decode  FirmwareDecode, not FIRMWARE_NONE
    words   the registers, `count` of them: at most 4, 2 for bytes, 1 for nibbles
    """
    cdef uint64_t key = 0
    cdef uint64_t word
    cdef int32_t at
    if decode == FIRMWARE_TEXT:
        return text_version(words, count)
    if decode == FIRMWARE_NIBBLES:
        word = words[0]
        return (word >> 12) << 48 | (word >> 8 & 0xF) << 32 | (word & 0xFF) << 16
    for at in range(VERSION_PARTS_MAX):
        key <<= 16
        if decode == FIRMWARE_BYTES and at // 2 < count:
            key |= words[at // 2] & 0xFF if at % 2 else words[at // 2] >> 8
        elif decode != FIRMWARE_BYTES and at < count:
            key |= words[at]
    return key


cdef bint in_ranges(const ProbeRow* probe, uint64_t key) noexcept nogil:
    """Whether the profile holds for a version."""
    cdef int32_t at
    for at in range(probe.ranges):
        if probe.low[at] <= key < probe.high[at]:
            return True
    return False


def firmware_key(FirmwareDecode decode, words):
    """A version read from registers as one number, as the bus makes it."""
    cdef uint16_t values[PROBE_WORDS_MAX]
    if not 0 < len(words) <= PROBE_WORDS_MAX:
        raise ValueError(f"{len(words)} registers; 1 to {PROBE_WORDS_MAX} hold a version")
    for at, word in enumerate(words):
        values[at] = word
    return version_key(decode, values, len(words))
