"""What is proved: one row a claim.

To add one: write `void name(void)` in a *_claims.c with CLAIM and at least one REACHED, and a row
here. A claim without a REACHED, or with one that no input reaches, fails: it would prove nothing.
"""

from dataclasses import dataclass

MODBUS, RTU = "edgectl._kernel.modbus", "edgectl._kernel.rtu"


@dataclass(frozen=True, slots=True)
class Claim:
    """One claim.

    name         its C function, without arguments
    words        what it says, in words
    module       whose generated C it is about
    functions    of that module's .pyx that it calls, itself or through another
    unwind       one more than the longest loop goes round; CBMC proves that it is enough
    loops        (function, place in it from 0, rounds) of loops that differ from unwind
    timeout_s    no answer by then is no proof
    """

    name: str
    words: str
    module: str
    functions: tuple[str, ...]
    unwind: int = 2
    loops: tuple[tuple[str, int, int], ...] = ()
    timeout_s: float = 120.0

    @property
    def source(self) -> str:
        """The C file that holds it."""
        return f"{self.module.rpartition('.')[2]}_claims.c"


READ, WRITE = ("modbus_check", "check_read", "get16"), ("modbus_check", "check_write", "get16")
REPLIES = (  # function, greatest count, rounds of its loop, seconds it may take
    (1, 2000, 2001, 900.0), (2, 2000, 2001, 900.0), (3, 125, 126, 120.0), (4, 125, 126, 120.0),
    (5, 1, 2, 120.0), (6, 1, 2, 120.0), (15, 1968, 2, 120.0), (16, 123, 2, 120.0),
)  # fmt: skip

CLAIMS = (
    *(
        Claim(
            f"fc{function}_reply",
            f"FC {function}, any 0 to 260 bytes, count 1 to {most}: no access outside frame and "
            f"words, at most count words; believed exactly if it answers the request",
            MODBUS, READ if function <= 4 else WRITE, unwind, timeout_s=timeout_s,
        )
        for function, most, unwind, timeout_s in REPLIES
    ),
    *(
        Claim(
            f"fc{function}_refused",
            f"FC {function}, count 1 to {most}: a reply that is not the answer writes no word",
            MODBUS, READ if function <= 4 else WRITE,
        )
        for function, most, _, _ in REPLIES
    ),
    Claim("frame_safe", "framing reads nothing beyond what was received",
          MODBUS, ("modbus_frame", "get16")),
    Claim("frame_exhaustive", "a stream is whole (9 to 260 bytes), partial or broken by its header",
          MODBUS, ("modbus_frame", "get16")),
    Claim("encode_refused", "a request out of bounds gives 0; nothing is written or read",
          MODBUS, ("modbus_encode", "count_max")),
    Claim("encode_reads", "FC 1 to 4: the request has 12 bytes; no words are read",
          MODBUS, ("modbus_encode", "put16")),
    Claim("encode_single_writes", "FC 5 and 6: the request has 12 bytes; no words are read",
          MODBUS, ("modbus_encode", "put16")),
    Claim("encode_bits", "FC 15, 1 to 1968 coils: exact length, within 260 bytes and the words",
          MODBUS, ("modbus_encode", "put16", "bits_byte"), 248, timeout_s=300.0),
    Claim("bits_exact", "any eight of 1 to 1968 coils: a bit each, none beyond the count is read",
          MODBUS, ("bits_byte",), 9),
    Claim("encode_registers", "FC 16, 1 to 123 registers: exact length, within 260 bytes and words",
          MODBUS, ("modbus_encode", "put16"), 248),
    Claim("rtu_frame_safe", "RTU framing reads nothing beyond what was received",
          RTU, ("rtu_frame",)),
    Claim("rtu_frame_exhaustive", "a line's bytes are whole (5 to 256), partial or broken",
          RTU, ("rtu_frame",)),
    Claim("rtu_check_safe", "RTU check, any 0 to 260 bytes: in bounds, and so is what it hands on",
          RTU, ("rtu_check", "rtu_crc"), 262),
    Claim("crc_step", "one byte into a serial CRC: the standard's step, for every CRC and byte",
          MODBUS, ("crc_step",), 9),
    Claim("rtu_crc_fold", "a CRC of any 0 to 254 bytes is that step, byte by byte",
          RTU, ("rtu_crc",), 256, timeout_s=300.0),
    Claim("rtu_check_crc", "frames of 4 to 256 bytes: handed on exactly if that CRC is theirs",
          RTU, ("rtu_check", "rtu_crc"), 256, timeout_s=300.0),
    Claim("rtu_encode_safe", "an RTU request has 8 to 256 bytes, or is 0 and refused",
          RTU, ("rtu_encode", "rtu_crc"), 260),
    Claim("rtu_reply_length", "the reply waited for has 6 to 256 bytes",
          RTU, ("rtu_reply_bytes",)),
)  # fmt: skip
