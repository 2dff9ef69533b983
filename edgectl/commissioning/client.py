"""One connection to a device or a serial line: each read gives its words or why there are none."""

import contextlib
import errno
import ipaddress
import logging
import socket
import struct
import time
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

import serial
from pymodbus.client import ModbusSerialClient, ModbusTcpClient
from pymodbus.exceptions import ConnectionException, ModbusException

from edgectl.errors import EdgectlError

NS_PER_MS = 1_000_000
PORT = 502  # Modbus Messaging on TCP/IP Implementation Guide V1.0b, 4.2
PARITIES = {"none": "N", "even": "E", "odd": "O"}
EXCEPTIONS = {  # MODBUS Application Protocol V1.1b3, 7
    1: "illegal function",
    2: "illegal data address",
    3: "illegal data value",
    4: "device failure",
    5: "acknowledge",
    6: "device busy",
    8: "memory parity error",
    10: "gateway path unavailable",
    11: "gateway target does not respond",
}
GATEWAY_EXCEPTIONS = (10, 11)
OBJECTS_MAX = 16  # follow-up requests of one device identification
SILENT_TO_CLOSE = 3  # unanswered requests in a row that end a TCP connection
QUIET_S, NOISE_MAX_S = 0.05, 0.5  # a line is quiet after so long, and waited for so long at most


class DeviceError(EdgectlError):
    """A device cannot be reached, or does not answer."""


@dataclass(frozen=True, slots=True)
class TcpAddress:
    """A device or gateway on the network."""

    host: str
    port: int = PORT

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class SerialAddress:
    """A serial line; parity is none, even or odd."""

    path: str
    baud: int = 9600
    parity: str = "even"
    stop_bits: int = 1

    def __str__(self) -> str:
        return f"{self.path} {self.baud} 8{PARITIES[self.parity]}{self.stop_bits}"


Address = TcpAddress | SerialAddress


class Fault(Enum):
    """Why a read gave no words."""

    EXCEPTION = auto()  # the device, or a gateway before it, refused
    SILENT = auto()  # no reply in time
    BROKEN = auto()  # a reply that does not fit the request
    CLOSED = auto()  # the connection ended or was not to be had


@dataclass(frozen=True, slots=True)
class Failure:
    """A read without words. code: of the exception, 0 without."""

    fault: Fault
    text: str
    code: int = 0

    @property
    def gateway(self) -> bool:
        """A gateway says that nobody answers at this unit."""
        return self.code in GATEWAY_EXCEPTIONS


@dataclass(frozen=True, slots=True)
class Reply:
    """The registers of one read (bits: a word each), and how long they took."""

    words: tuple[int, ...]
    round_trip_ns: int


@dataclass(slots=True)
class Line:
    """One connection, opened at the first read and again after it was lost.

    timeout_ms          of one reply
    connect_timeout_ms  of the connection
    gap_ms              pause between a reply and the next request; some gateways need it

    Thread-safety: one thread at a time.
    """

    address: Address
    timeout_ms: int = 1000
    connect_timeout_ms: int = 2000
    gap_ms: int = 0
    requests: int = 0
    round_trip_max_ns: int = 0
    _client: Any = field(default=None, init=False)
    _silent_in_a_row: int = field(default=0, init=False)
    _next_s: float = field(default=0.0, init=False)

    def open(self) -> None:
        """Connect. Raises DeviceError with what stands in the way."""
        if self._client is not None:
            return
        logging.getLogger("pymodbus").setLevel(logging.CRITICAL)  # faults are ours to tell
        if isinstance(self.address, TcpAddress):
            self._client = self._tcp(self.address)
        else:
            self._client = self._serial(self.address)

    def close(self) -> None:
        """Disconnect; harmless when there is no connection."""
        if self._client is not None:
            self._client.close()
            self._client = None
        self._silent_in_a_row = 0

    def __enter__(self) -> "Line":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def read(self, unit: int, function: int, address: int, count: int) -> Reply | Failure:
        """Read registers or bits with function 1 to 4. A fault of the world is a value."""
        answer = self._ask(
            {
                1: "read_coils",
                2: "read_discrete_inputs",
                3: "read_holding_registers",
                4: "read_input_registers",
            }[function],
            function,
            address,
            count=count,
            device_id=unit,
        )
        if isinstance(answer, Failure):
            return answer
        pdu, round_trip_ns = answer
        if function > 2:
            words = tuple(pdu.registers)
        else:
            words = tuple(int(bit) for bit in pdu.bits)
            if count <= len(words) < count + 8:  # padded to whole bytes: MAP 6.1
                words = words[:count]
        if len(words) != count:
            return self._broken(f"{len(words)} values where {count} were asked for")
        return Reply(words, round_trip_ns)

    def identification(self, unit: int) -> dict[int, str] | Failure:
        """Objects of the device identification (function 43/14: MAP 6.21), by number."""
        objects: dict[int, str] = {}
        first = 0
        for level in (2, 1):  # regular, then basic
            for _ in range(OBJECTS_MAX):
                answer = self._ask(
                    "read_device_information", 43, read_code=level, object_id=first, device_id=unit
                )
                if isinstance(answer, Failure):
                    break
                pdu, _ = answer
                for number, value in pdu.information.items():
                    values = value if isinstance(value, list) else [value]
                    objects[int(number)] = _printable(b" ".join(values))
                if not pdu.more_follows or pdu.next_object_id <= first:
                    return objects
                first = pdu.next_object_id
            if objects or (isinstance(answer, Failure) and answer.code != 3):
                break
        return objects or (answer if isinstance(answer, Failure) else {})

    def _ask(
        self, method: str, function: int, *args: int, **kwargs: int
    ) -> tuple[Any, int] | Failure:
        """One request and its reply, checked for function and exception."""
        try:
            self.open()
        except DeviceError as error:
            return Failure(Fault.CLOSED, error.problem)
        self.requests += 1
        time.sleep(max(self._next_s - time.monotonic(), 0.0))
        start_ns = time.monotonic_ns()
        try:
            pdu = getattr(self._client, method)(*args, **kwargs)
        except ConnectionException:
            self.close()
            return Failure(Fault.CLOSED, "the device closed the connection")
        except (ModbusException, OSError, struct.error, IndexError, ValueError) as error:
            if time.monotonic_ns() - start_ns < 0.9 * self.timeout_ms * NS_PER_MS:
                return self._broken(f"no reply to this request: {error}")
            return self._unanswered()
        finally:
            self._next_s = time.monotonic() + self.gap_ms / 1e3
        self._silent_in_a_row = 0
        round_trip_ns = time.monotonic_ns() - start_ns
        self.round_trip_max_ns = max(self.round_trip_max_ns, round_trip_ns)
        if pdu.isError():
            code = int(getattr(pdu, "exception_code", 0))
            return Failure(Fault.EXCEPTION, f"exception {code} {EXCEPTIONS.get(code, '')}", code)
        if pdu.function_code != function:
            return self._broken(f"a reply to function {pdu.function_code}, not to {function}")
        return pdu, round_trip_ns

    def _unanswered(self) -> Failure:
        """No reply in time. A TCP connection is kept at first: some devices answer nothing for a
        second or two after it is made, and a late reply's transaction id gives it away."""
        self._silent_in_a_row += 1
        if isinstance(self.address, SerialAddress) or self._silent_in_a_row >= SILENT_TO_CLOSE:
            self._settle()
        return Failure(Fault.SILENT, f"no answer within {self.timeout_ms} ms")

    def _broken(self, what: str) -> Failure:
        self._settle()
        return Failure(Fault.BROKEN, what)

    def _settle(self) -> None:
        """Leave nothing behind that the next request could take for its reply."""
        if isinstance(self.address, TcpAddress):
            self.close()
            return
        deadline = time.monotonic() + NOISE_MAX_S
        with contextlib.suppress(OSError):
            while time.monotonic() < deadline:
                time.sleep(QUIET_S)
                waiting = self._client.socket.in_waiting
                if not waiting:
                    return
                self._client.socket.read(waiting)

    def _tcp(self, address: TcpAddress) -> ModbusTcpClient:
        wire = connect(address, self.connect_timeout_ms)
        client = ModbusTcpClient(
            address.host, port=address.port, timeout=self.timeout_ms / 1e3, retries=0
        )
        client.socket = wire
        return client

    def _serial(self, address: SerialAddress) -> ModbusSerialClient:
        client = ModbusSerialClient(
            address.path,
            baudrate=address.baud,
            parity=PARITIES[address.parity],
            stopbits=address.stop_bits,
            timeout=self.timeout_ms / 1e3,
            retries=0,
        )
        client.set_max_no_responses(1_000_000)  # a silent unit is no reason to close the line
        try:
            client.socket = serial.Serial(
                address.path,
                address.baud,
                parity=PARITIES[address.parity],
                stopbits=address.stop_bits,
                timeout=self.timeout_ms / 1e3,
                write_timeout=self.timeout_ms / 1e3,
                exclusive=True,
            )
        except (OSError, ValueError) as error:
            raise _no_port(address, error) from error
        return client


def connect(address: TcpAddress, timeout_ms: int) -> socket.socket:
    """A TCP connection on which nothing waits to be sent. Raises DeviceError without one."""
    try:
        wire = socket.create_connection((address.host, address.port), timeout_ms / 1e3)
    except OSError as error:
        raise _unreachable(address, error, timeout_ms) from error
    wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return wire


def _printable(raw: bytes) -> str:
    """A device's text, which must not steer anybody's terminal."""
    text = raw.decode("latin-1").strip("\0 ")
    return "".join(each if each.isprintable() else "?" for each in text)


def _unreachable(address: TcpAddress, error: OSError, timeout_ms: int) -> DeviceError:
    """What stands between us and a TCP address."""
    if isinstance(error, socket.gaierror):
        problem = f"there is no host of the name {address.host}"
        remedy = "Give its IP address; of a serial port the whole path, /dev/ttyUSB0."
    elif isinstance(error, ConnectionRefusedError):
        problem = f"the host refuses connections at port {address.port}"
        remedy = "Is Modbus TCP enabled on it, and on this port? Does it allow this address?"
    elif isinstance(error, TimeoutError):
        problem = f"no answer within {timeout_ms} ms"
        remedy = "Is it powered and in this network? Does a firewall stand between?"
    else:
        problem, remedy = f"no way there: {error}", "Check address, cable and route."
    return DeviceError(
        where=str(address), problem=problem, because="Nothing was asked.", remedy=remedy
    )


def _no_port(address: SerialAddress, error: OSError | ValueError) -> DeviceError:
    """Why a serial port does not open. pyserial repeats itself; its number is what it knows."""
    told = getattr(error, "errno", None), *getattr(error.__context__, "args", ())
    number = next((each for each in told if isinstance(each, int)), None)
    problem = f"the serial port does not open: {error}"
    remedy = "Does the port take these settings? --baud, --parity and --stop-bits."
    if number == errno.ENOENT:
        problem = "there is no such serial port"
        remedy = "Is the adapter plugged in? ls -l /dev/serial/by-id shows those that are."
    elif number == errno.EACCES:
        problem = "this serial port is not yours to use"
        remedy = "Add yourself to its group, often dialout, and log in again."
    elif number in (errno.EAGAIN, errno.EBUSY):
        problem = "another program has this serial port"
        remedy = f"Stop it first. To see which: fuser {address.path}"
    elif number in (errno.ENOTTY, errno.EINVAL, errno.EISDIR):
        problem = "this is no serial port"
        remedy = "Give its path, for example /dev/ttyUSB0."
    return DeviceError(
        where=address.path,
        problem=problem,
        because="Nothing was asked on this line.",
        remedy=remedy,
    )


def parse_address(text: str, baud: int, parity: str, stop_bits: int) -> Address:
    """HOST, HOST:PORT, or the path of a serial port.

    Raises ValueError when it is none of them.
    """
    if "/" in text:
        return SerialAddress(text, baud, parity, stop_bits)
    host, colon, port = text.partition(":")
    if not host or any(each.isspace() for each in text):
        raise ValueError(f"{text!r} is no HOST, HOST:PORT or path of a serial port")
    if not_an_address(host):
        raise ValueError(f"{host!r} is no IP address")
    if not colon:
        return TcpAddress(host)
    if not port.isdecimal() or not 0 < int(port) < 0x10000:
        raise ValueError(f"{port!r} is no TCP port")
    return TcpAddress(host, int(port))


def not_an_address(host: str) -> bool:
    """Whether it is made of digits and dots as an IPv4 address is, and is none."""
    if not host.replace(".", "").isdecimal():
        return False
    try:
        ipaddress.IPv4Address(host)
    except ValueError:
        return True
    return False
