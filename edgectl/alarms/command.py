"""What a person asks of an alarm, checked where it comes in: from the command line or MQTT.

Nothing of this reaches the controller. Acknowledging an alarm resets no interlock.
"""

import difflib
from collections.abc import Iterable
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from edgectl.alarms.machine import SHELVED_MAX_NS, Act, Action

NS_PER_MINUTE = 60_000_000_000
MINUTES_MAX = SHELVED_MAX_NS // NS_PER_MINUTE
REASON_MIN = 3  # characters: a person who reads it tomorrow must learn something
NEED_REASON = (Action.SHELVE, Action.OUT_OF_SERVICE)

# What is shown in a terminal must not be able to command it.
PRINTABLE = r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*$"
Line = StringConstraints(strip_whitespace=True, max_length=200, pattern=PRINTABLE)
Name = StringConstraints(strip_whitespace=True, min_length=1, max_length=64, pattern=PRINTABLE)


class AlarmCommand(BaseModel):
    """One request, with who asks and why."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: Annotated[str, Name]
    action: Action
    by: Annotated[str, Name]
    reason: Annotated[str, Line] = ""
    minutes: Annotated[float, Field(gt=0, le=MINUTES_MAX, allow_inf_nan=False)] | None = None
    cmd_id: Annotated[str, Line] = ""  # given back in the reply

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.action in NEED_REASON and len(self.reason) < REASON_MIN:
            raise ValueError(f"{self.action} needs a reason of {REASON_MIN} characters or more")
        if self.action is Action.SHELVE and self.minutes is None:
            raise ValueError(f"shelve needs minutes, up to {MINUTES_MAX}")
        if self.action is not Action.SHELVE and self.minutes is not None:
            raise ValueError(f"{self.action} takes no minutes")
        return self

    def act(self, now_ns: int) -> Act:
        """The input of the state machine, at one instant of the alarm clock."""
        until_ns = now_ns + round((self.minutes or 0) * NS_PER_MINUTE)
        return Act(self.action, self.by, self.reason, until_ns)


def unknown(alarm_id: str, ids: Iterable[str]) -> str:
    """What to say of an id that no alarm has, with the ones that are like it."""
    folded = {each.casefold(): each for each in ids}
    near = difflib.get_close_matches(alarm_id.casefold(), list(folded), n=3, cutoff=0.6)
    hint = f"did you mean {', '.join(folded[each] for each in near)}?" if near else "no id is near"
    return f"no alarm is named {alarm_id!r}; {hint}"
