"""SunSpec discovery: where the map begins, and the chain of models in it."""

from dataclasses import dataclass, field

from edgectl.commissioning import models
from edgectl.commissioning.client import Failure, Reply
from edgectl.commissioning.identify import Asker

BASES = (40000, 0, 50000)  # SunSpec Device Information Model Specification: where to look
MARKER = (0x5375, 0x6E53)  # "SunS"
MARKER_WORDS = 2
END = 0xFFFF
MODELS_MAX = 128
READ_MAX = 125
COMMON = 1
COMMON_LENGTHS = (65, 66)  # without and with the pad register
VENDOR_MODELS = range(64001, 65536)


@dataclass(frozen=True, slots=True)
class Model:
    """One model of a chain. length: L as the device states it, without ID and L."""

    id: int
    address: int
    length: int
    verdict: str = "ok"
    words: tuple[int, ...] = ()

    @property
    def end(self) -> int:
        """One past its last register."""
        return self.address + models.HEADER_WORDS + self.length

    @property
    def label(self) -> str:
        """What it is called."""
        known = models.label(self.id)
        return known or ("vendor's own" if self.id in VENDOR_MODELS else "not known to pysunspec2")


@dataclass(frozen=True, slots=True)
class Chain:
    """What was found at one base. problem: how the walk ended if not at an end marker."""

    base: int
    models: tuple[Model, ...]
    problem: str = ""
    common: dict[str, str] = field(default_factory=dict)

    @property
    def ids(self) -> tuple[int, ...]:
        """The models' numbers, in order."""
        return tuple(each.id for each in self.models)

    @property
    def device(self) -> str:
        """Maker and model as model 1 says."""
        return " ".join(filter(None, (self.common.get("Mn"), self.common.get("Md"))))


def find_base(asker: Asker) -> int | None:
    """Address of the marker; None where it is at none of the three places."""
    for base in BASES:
        answer = asker.read(3, base, MARKER_WORDS)
        if isinstance(answer, Reply) and answer.words == MARKER:
            return base
    return None


def discover(asker: Asker, whole: bool = True) -> Chain | None:
    """Find the map of one unit and walk its chain; None where there is no marker.

    whole  read every model, not only the first, and say whether its length is the definition's

    A chain may be anything: it is followed upwards only, never past the last register nor for
    more than MODELS_MAX models.
    """
    base = find_base(asker)
    if base is None:
        return None
    found: list[Model] = []
    problem = ""
    address = base + MARKER_WORDS
    while not problem:
        answer = asker.read(3, address, models.HEADER_WORDS)
        if isinstance(answer, Failure):
            problem = f"no end marker: header at {address}: {answer.text}"
            break
        number, length = answer.words
        if number == END:
            break
        model = Model(number, address, length)
        problem = _unsound(model, found)
        if problem:
            break
        found.append(_examined(asker, model) if whole or number == COMMON else model)
        address = model.end
        if address + models.HEADER_WORDS > models.ADDRESSES:
            problem = f"no end marker: the chain reaches the last register with model {number}"
        elif len(found) == MODELS_MAX:
            problem = f"no end marker within {MODELS_MAX} models"
    return Chain(base, tuple(found), problem, _common(found))


def _unsound(model: Model, before: list[Model]) -> str:
    """Why a header cannot be one; "" when it can."""
    if not before and model.id != COMMON:
        return f"the first model is {model.id}, not 1: no SunSpec chain"
    if model.length == 0:
        return f"model {model.id} at {model.address} has length 0: the chain leads nowhere"
    if model.end > models.ADDRESSES:
        return (
            f"model {model.id} at {model.address} has length {model.length}: "
            "it would run past the last register"
        )
    return ""


def _examined(asker: Asker, model: Model) -> Model:
    """The model with its words, and with what its length is worth."""
    if models.definition(model.id) is None:
        return Model(model.id, model.address, model.length, "")
    words: list[int] = []
    while len(words) < model.length + models.HEADER_WORDS:
        count = min(READ_MAX, model.length + models.HEADER_WORDS - len(words))
        answer = asker.read(3, model.address + len(words), count)
        if isinstance(answer, Failure):
            verdict = f"unread from {model.address + len(words)}: {answer.text}"
            return Model(model.id, model.address, model.length, verdict, tuple(words))
        words += answer.words
    return Model(model.id, model.address, model.length, _length(model, words), tuple(words))


def _length(model: Model, words: list[int]) -> str:
    """Whether the length is the definition's: ok, or by how many words it is not."""
    laid = models.layout(model.id, words)
    if laid is None or (model.id == COMMON and model.length in COMMON_LENGTHS):
        return "ok"
    off = model.length + models.HEADER_WORDS - laid.words
    return "ok" if off == 0 else f"{-off} short" if off < 0 else f"{off} longer"


def _common(found: list[Model]) -> dict[str, str]:
    """The texts of model 1."""
    if not found or not found[0].words:
        return {}
    laid = models.layout(COMMON, found[0].words)
    assert laid is not None, "pysunspec2 defines model 1"
    return {
        each.name: models.text(found[0].words[each.offset : each.offset + each.words])
        for each in laid.fields
        if each.type == "string"
    }
