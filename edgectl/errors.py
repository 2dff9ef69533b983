"""Every error a user can meet: where, what with numbers and units, why it matters, what to do."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding, in the four parts every error message has.

    where      file:line, or the device and register
    problem    what is wrong, with values and units
    because    why it matters
    remedy     what to do
    rank       0 is the worst; orders the problems of one file
    """

    where: str
    problem: str
    because: str
    remedy: str
    rank: int = 3

    def __str__(self) -> str:
        return f"{self.where}: {self.problem}\n  {self.because}\n  {self.remedy}"


class EdgectlError(Exception):
    """Root of every error edgectl raises on purpose.

    where, problem, because, remedy: as in Problem. `exit_code` is what a command
    that ends with this error returns to its shell.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, *, where: str, problem: str, because: str, remedy: str) -> None:
        self.problems: tuple[Problem, ...] = (Problem(where, problem, because, remedy),)
        super().__init__(str(self.problems[0]))

    @property
    def where(self) -> str:
        return self.problems[0].where

    @property
    def problem(self) -> str:
        return self.problems[0].problem

    @property
    def because(self) -> str:
        return self.problems[0].because

    @property
    def remedy(self) -> str:
        return self.problems[0].remedy


class FileError(EdgectlError):
    """A file was refused; it holds all of the file's problems, worst first."""

    exit_code = 2

    def __init__(self, problems: Sequence[Problem]) -> None:
        ordered = tuple(sorted(problems, key=lambda each: each.rank))
        worst = ordered[0]
        super().__init__(
            where=worst.where,
            problem=worst.problem,
            because=worst.because,
            remedy=worst.remedy,
        )
        self.problems = ordered
        text = "\n".join(str(each) for each in ordered)
        if len(ordered) > 1:
            text += f"\n{len(ordered)} problems, the worst first; no device was contacted."
        self.args = (text,)


class SiteFileError(FileError):
    """The site file was refused. Nothing has been contacted or written."""


class ProfileError(FileError):
    """A device profile was refused. Nothing has been contacted or written."""


class IdentityError(EdgectlError):
    """A device is not what its profile says. Nothing was written to it."""

    exit_code = 3


class OverrunError(EdgectlError):
    """Too many scans overran. Outputs are in the safe state."""

    exit_code = 4


class SegmentError(EdgectlError):
    """The shared-memory segment is missing, of another version, or in use."""

    exit_code = 5


class MailboxFullError(SegmentError):
    """The kernel has not taken the requests before this one. Nothing was asked."""


class LedgerError(EdgectlError):
    """The ledger could not be written or does not continue its own record."""

    exit_code = 6


class KeyFileError(EdgectlError):
    """A key file is missing, readable by others, or no key."""

    exit_code = 2


class MeterError(EdgectlError):
    """A statement about a meter could not be handed over."""

    exit_code = 1


class NoAnswerError(MeterError):
    """Nobody took a statement about a meter yet; it waits."""

    exit_code = 10


class ReceiptError(EdgectlError):
    """A receipt was refused: no such tenant, no such time, or nothing that is signed."""

    exit_code = 2


class ReportError(EdgectlError):
    """A report was refused: nothing to report on, no such tenant, or a package is missing."""

    exit_code = 2


class BrokerError(EdgectlError):
    """The MQTT broker refuses us, or cannot be started."""

    exit_code = 7


class PlantError(EdgectlError):
    """The simulated plant cannot be built for this site, or a device of it died."""

    exit_code = 8


class DataError(EdgectlError):
    """A file of measured data is missing or not in the form its source documents."""

    exit_code = 9


class AlarmError(EdgectlError):
    """The alarms' file could not be read or written, or a request about an alarm was refused."""

    exit_code = 10
