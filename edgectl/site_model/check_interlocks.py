"""Rows of the cause-and-effect table: checked, and put into their frozen form."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

from edgectl._kernel.interlock import Effect as EffectNumber
from edgectl.profiles.model import INT64_MAX
from edgectl.profiles.problems import RANK_REFERENCE, RANK_SAFETY, RANK_VALUE, did_you_mean
from edgectl.profiles.toml_text import Path
from edgectl.site_model.causes import limit_threshold, read_cause
from edgectl.site_model.check_contradictions import check_contradictions
from edgectl.site_model.context import Context
from edgectl.site_model.model import Cause, Effect, Interlock
from edgectl.site_model.schema_interlock import CauseEntry, EffectEntry, InterlockEntry

ACTIONS = {each.name.removeprefix("EFFECT_").lower(): int(each) for each in EffectNumber}
STORAGE_ACTIONS = (
    "hold",
    "limit_charge",
    "limit_discharge",
    "derate",
    "block_command",
    "inhibit_charge",
    "inhibit_discharge",
    "ramp_to_zero",
    "zero",
)
LIMIT_ACTIONS = ("limit_charge", "limit_discharge", "limit_import")
VALUE_KEYS = {
    "to_ratio": "derate",
    "tier": "shed",
}  # keys of an effect, and the action they go with
Entry = TypeVar("Entry", CauseEntry, EffectEntry)
NS_PER_MS = 1_000_000
NS_PER_S = 1_000_000_000
NEVER_BYPASSED = {"I01": "an E-stop", "I02": "of fire or gas", "I04": "a trip of the BMS"}


def check_interlocks(context: Context) -> tuple[Interlock, ...]:
    """All rows that could be understood; problems are reported."""
    rows = []
    ids = [each.id for each in context.file.interlock]
    for at, entry in enumerate(context.file.interlock):
        if entry.id in ids[:at]:
            context.add(
                context.path("interlock", at, "id"),
                f"there are two interlocks {entry.id}",
                "A reset or a report that names it would mean either.",
                "Give each its own id.",
                RANK_REFERENCE,
            )
        row = _check_row(context, context.path("interlock", at), entry)
        if row is not None:
            rows.append(row)
    check_contradictions(context, rows)
    return tuple(rows)


def _check_row(context: Context, path: Path, entry: InterlockEntry) -> Interlock | None:
    causes_at = _one_or_many(context, path, "cause", entry.cause, entry.causes)
    effects_at = _one_or_many(context, path, "effect", entry.effect, entry.effects)
    if causes_at is None or effects_at is None:
        return None
    causes = [read_cause(context, where, each) for where, each in causes_at]
    effects = [each for _, each in effects_at]
    for where, each in effects_at:
        _check_effect(context, where, each)
    vote = _check_vote(context, path, entry, len(causes))
    _check_units(context, path, entry, causes)
    _check_delays(context, path, entry)
    _check_reset(context, path, entry)
    _check_limit(context, path, causes, effects)
    if vote is None or None in causes:
        return None
    sound = tuple(
        replace(each, on=limit, off=limit)
        if each.op == "limit" and (limit := limit_threshold(context, effects))
        else each
        for each in causes
        if each is not None
    )
    lockout = entry.lockout
    return Interlock(
        id=entry.id,
        title=entry.title,
        group=entry.group,
        priority=entry.priority,
        on_bad_quality=entry.on_bad_quality,
        vote=vote,
        on_delay_ns=entry.on_delay_ms * NS_PER_MS,
        off_delay_ns=entry.off_delay_ms * NS_PER_MS,
        reset=entry.reset,
        lockout_trips=lockout.trips if lockout else 0,
        lockout_window_ns=lockout.window_s * NS_PER_S if lockout else INT64_MAX,
        bypass=entry.bypass,
        causes=sound,
        discrepancy_ns=entry.discrepancy_ms * NS_PER_MS,
        effects=tuple(_effect(context, each) for each in effects),
        why=entry.why,
        proof_test=entry.proof_test,
        proof_interval_days=entry.proof_interval_days,
        catalogue=entry.catalogue or "",
        line=context.report.text.line(path),
    )


def _one_or_many(
    context: Context, path: Path, key: str, one: Entry | None, many: Sequence[Entry] | None
) -> list[tuple[Path, Entry]] | None:
    """The entries of `cause` or of `causes`, each with its path."""
    if (one is None) == (many is None):
        context.add(
            path,
            f"the row needs either {key} or {key}s" + (", not both" if one is not None else ""),
            "A row without one does nothing; with both it is not clear which counts.",
            f"Write {key} = {{ ... }}, or {key}s = [ {{ ... }}, {{ ... }} ].",
            RANK_SAFETY,
        )
        return None
    if one is not None:
        return [((*path, key), one)]
    return [((*path, f"{key}s", at), each) for at, each in enumerate(many or ())]


def _check_effect(context: Context, path: Path, effect: EffectEntry) -> None:
    batteries = [each.id for each in context.file.battery]
    if effect.action not in ACTIONS:
        context.add(
            (*path, "action"),
            f"unknown action {effect.action}",
            "A row that does nothing known protects nothing.",
            did_you_mean(effect.action, ACTIONS),
            RANK_SAFETY,
        )
        return
    if effect.asset is not None and effect.action not in STORAGE_ACTIONS:
        context.add(
            (*path, "asset"),
            f"{effect.action} acts on the site, not on {effect.asset}",
            "Read with the asset it would promise less, or more, than it does.",
            "Remove the asset.",
            RANK_VALUE,
        )
    elif effect.asset not in (None, *batteries, *context.broken):
        context.add(
            (*path, "asset"),
            f"{effect.action} on {effect.asset}, which is no battery of this site",
            "The row would trip and nothing would happen.",
            did_you_mean(str(effect.asset), batteries),
            RANK_SAFETY,
        )
    _check_effect_value(context, path, effect)
    missing = _missing_command(context, effect.action)
    if missing:
        context.add(
            (*path, "action"),
            f"{effect.action} has no command: the site has no {missing}",
            "The row would trip and nothing could be written.",
            f"Add {missing} with its command, or choose another action.",
            RANK_SAFETY,
        )


def _check_effect_value(context: Context, path: Path, effect: EffectEntry) -> None:
    """derate has its ratio, shed may have its tier, and nothing else has either."""
    for key, action in VALUE_KEYS.items():
        if getattr(effect, key) is not None and effect.action != action:
            context.add(
                (*path, key),
                f"{key} says nothing to {effect.action}",
                "Read with it, the effect would promise something it does not do.",
                f"Remove it, or use {action}.",
                RANK_VALUE,
            )
    if effect.action == "derate" and effect.to_ratio is None:
        context.add(
            path,
            "derate needs to_ratio",
            "How much is left of the rating is the whole effect.",
            "Add to_ratio = what is left, 0.5 for half.",
            RANK_SAFETY,
        )
    tiers = len(context.file.flexible.tiers_ratio) if context.file.flexible else 0
    if effect.tier is not None and tiers and effect.tier > tiers:
        context.add(
            (*path, "tier"),
            f"tier is {effect.tier}; [flexible] tiers_ratio has {tiers}",
            "The row would trip and shed nothing known.",
            f"Give a tier from 1 to {tiers}, or add to tiers_ratio.",
            RANK_SAFETY,
        )


def _effect(context: Context, entry: EffectEntry) -> Effect:
    """The effect in its frozen form; a shed without a tier asks the last."""
    value = entry.to_ratio or 0.0
    if entry.action == "shed":
        tiers = len(context.file.flexible.tiers_ratio) if context.file.flexible else 0
        value = float(entry.tier or tiers)
    return Effect(entry.action, entry.asset, value)


def _missing_command(context: Context, action: str) -> str:
    """The section whose command an action needs and the site lacks; "" when it is there."""
    file = context.file
    if action in STORAGE_ACTIONS and not file.battery and "battery" not in context.ordinals:
        return "[[battery]]"
    if action in ("shed", "refuse_shed") and file.flexible is None:
        return "[flexible]"
    if action == "open_request" and file.open_request is None:
        return "[open_request]"
    return ""


def _check_vote(context: Context, path: Path, entry: InterlockEntry, causes: int) -> int | None:
    if entry.vote is None:
        if causes == 1:
            return 1
        context.add(
            path,
            f"vote is missing; the row has {causes} causes",
            "Whether one of them is enough decides between a false trip and a missed one.",
            f'Add vote = "1oo{causes}" for any of them, "{causes}oo{causes}" for all; '
            'over different quantities "any" or "all".',
            RANK_SAFETY,
        )
        return None
    if entry.vote in ("any", "all"):
        return 1 if entry.vote == "any" else causes
    votes, _, of = entry.vote.partition("oo")
    if int(of) != causes or int(votes) > causes:
        context.add(
            (*path, "vote"),
            f"vote is {entry.vote}; the row has {causes} {'cause' if causes == 1 else 'causes'}",
            "A vote that can never be reached never trips."
            if int(votes) > causes
            else "The vote was meant for another number of causes.",
            f"Write {min(int(votes), causes)}oo{causes}.",
            RANK_SAFETY,
        )
        return None
    return int(votes)


def _check_units(
    context: Context, path: Path, entry: InterlockEntry, causes: Sequence[Cause | None]
) -> None:
    """MooN is a vote among readings of one quantity; different ones are joined by any or all."""
    units = {each.unit for each in causes if each is not None}
    if len(units) < 2 or entry.vote is None or entry.vote in ("any", "all"):
        return
    context.add(
        (*path, "vote"),
        f"vote is {entry.vote} over tags in {', '.join(sorted(units))}",
        "A vote is among readings of one quantity; its degradation when one is bad means nothing "
        "among different ones.",
        'Write vote = "any" or "all", or give the quantities rows of their own.',
        RANK_SAFETY,
    )


def _check_delays(context: Context, path: Path, entry: InterlockEntry) -> None:
    """A delay is none, or at least a scan."""
    period_ms = context.file.scan.period_ms
    for key in ("on_delay_ms", "off_delay_ms", "discrepancy_ms"):
        value = getattr(entry, key)
        if 0 < value < period_ms:
            context.add(
                (*path, key),
                f"{key} is {value} ms; the scan period is {period_ms} ms",
                "Time passes in whole scans: the row would act as if a whole one were written.",
                f"Write 0 for the same scan, or at least {period_ms}.",
                RANK_SAFETY,
            )


def _check_reset(context: Context, path: Path, entry: InterlockEntry) -> None:
    if entry.reset == "local" and context.file.local_reset is None:
        context.add(
            (*path, "reset"),
            "reset is local, and the site has no [local_reset]",
            "Once tripped, nobody could clear it.",
            "Add [local_reset] with tag = the input of the push-button.",
            RANK_SAFETY,
        )
    if entry.lockout is not None and entry.reset != "auto":
        context.add(
            (*path, "lockout"),
            f"lockout beside reset = {entry.reset}",
            "A lock-out turns auto into operator; this row never clears by itself anyway.",
            'Remove the lockout, or write reset = "auto".',
            RANK_VALUE,
        )
    if entry.bypass == "authorised" and entry.catalogue in NEVER_BYPASSED:
        context.add(
            (*path, "bypass"),
            f"bypass is authorised, and the row is {NEVER_BYPASSED[entry.catalogue]}",
            "E-stop, fire and BMS trip have no way around (IEC 61511-1 11.7).",
            'Write bypass = "never".',
            RANK_SAFETY,
        )
    if entry.bypass == "authorised" and entry.reset == "local":
        context.add(
            (*path, "bypass"),
            "bypass is authorised, and reset is local",
            "What only a person at the cabinet may clear must not be bypassed from afar "
            "(E-stop and fire never, IEC 61511-1 11.7).",
            'Write bypass = "never".',
            RANK_SAFETY,
        )


def _check_limit(
    context: Context,
    path: Path,
    causes: Sequence[Cause | None],
    effects: Sequence[EffectEntry],
) -> None:
    """A limit cause and a limit effect belong together, one to one."""
    limits = [each for each in causes if each is not None and each.op == "limit"]
    clamps = [each.action for each in effects if each.action in LIMIT_ACTIONS]
    if not limits and not clamps:
        return
    if None in causes or (len(causes) == len(limits) == 1 and len(clamps) == len(effects) == 1):
        return
    context.add(
        path,
        f"{len(limits)} limit of {len(causes)} causes with {len(clamps)} clamp of "
        f"{len(effects)} effects",
        "limit_charge and limit_discharge clamp to the value of one cause with limit = true.",
        "Give the limit a row of its own: one cause with limit = true, one effect.",
        RANK_SAFETY,
    )
