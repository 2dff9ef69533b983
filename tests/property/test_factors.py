"""Whatever happens to factors and services: each second names what its carbon was booked with."""

import tempfile
from pathlib import Path

import pytest
from event_log import EventLog
from factor_rig import FactorRig, hold_every_second
from hypothesis import example, given, settings
from hypothesis import strategies as st
from ledger_rig import UTC_NS

from edgectl.accounting.factors import Factor, FactorBook, Kind, Scope
from edgectl.errors import DataError
from edgectl.services import carbon_feed
from edgectl.services.carbon_feed import CarbonPoster
from edgectl.services.factor_feed import FactorFeed

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("use"), st.integers(0, 40)),
        st.tuples(st.just("take"), st.integers(0, 40)),
        st.tuples(st.just("run"), st.integers(1, 45)),
        st.tuples(st.sampled_from(["foreign", "default", "restart", "kill", "name"]), st.just(0)),
    ),
    max_size=25,
)


@settings(max_examples=40, deadline=None)
@example(steps=[("use", 1), ("take", 1), ("restart", 0), ("use", 0)])
@example(steps=[("restart", 0), ("kill", 0)])
@example(steps=[("restart", 0), ("use", 0), ("take", 0), ("restart", 0)])
@given(steps=STEPS)
def test_each_second_names_the_factor_it_was_booked_with_or_the_default_or_nobody(steps):
    with tempfile.TemporaryDirectory() as name:
        rig = FactorRig(Path(name))
        rig.scans(12)
        for what, number in steps:
            mg = 300_000 + number
            if what == "use":
                rig.use(mg)
            elif what == "take" and mg in rig.known:
                rig.fake.mg = mg
            elif what == "run":
                rig.scans(number)
            elif what in ("foreign", "default"):
                rig.fake.mg = 999_999 if what == "foreign" else None
            elif what in ("restart", "kill"):
                getattr(rig, what)()
            elif what == "name":
                rig.name()
        rig.scans(12)
        rig.feed.close()
        seen = hold_every_second(rig)
        assert seen["SECOND"] == (len(rig.fake.truth) + 4 - 1) // 10


FACTORS = st.builds(
    lambda at, kind, scope, zone, mg: Factor(
        mg, kind, scope, zone, "s", "1", UTC_NS + at, UTC_NS + at + 10**9, UTC_NS, False, "0" * 64
    ),
    st.integers(-(10**9), 10**9), st.sampled_from(Kind), st.sampled_from(Scope),
    st.sampled_from(["Z", "Y"]), st.integers(0, 900_000),
)  # fmt: skip


class Still:
    """A source that asks nobody."""

    def start(self, take, fail):
        self.take = take

    def close(self):
        """Nothing was opened."""


@settings(max_examples=60, deadline=None)
@given(listed=st.lists(FACTORS, max_size=12))
def test_nothing_but_the_zones_own_average_reaches_controller_or_ledger(listed):
    source, log, told, posted = Still(), EventLog(), [], []
    book = FactorBook("Z", Kind.AVERAGE, Scope.DIRECT, 480_000)
    feed = FactorFeed(book, source, log)

    class Mail:
        def __init__(self, _site):
            pass

        def __enter__(self):
            return self

        def __exit__(self, *_):
            return None

        def put(self, _kind, _target, value, _authority, _ttl_s):
            posted.append(value)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(carbon_feed, "Mailbox", Mail)
        patch.setattr(carbon_feed, "POST_EVERY_S", 0.0)
        patch.setattr(carbon_feed.time, "time_ns", lambda: UTC_NS)
        poster = CarbonPoster(feed, "site", log, use=lambda factor, _ttl_s: told.append(factor))
        poster.poll()
        for each in listed:
            source.take([each])
            poster.poll()
    good = {each.mg_per_kwh for each in listed
            if (each.kind, each.scope, each.zone) == (Kind.AVERAGE, Scope.DIRECT, "Z")}  # fmt: skip
    assert {round(each * 1000) for each in posted} <= good
    assert [each.mg_per_kwh for each in told] == [round(each * 1000) for each in posted]
    assert all(each.kind is Kind.AVERAGE for each in told)


@settings(max_examples=15, deadline=None)
@given(kind=st.sampled_from([Kind.MARGINAL, Kind.RESIDUAL]), mg=st.integers(1, 900_000))
def test_a_marginal_factor_is_refused_by_the_ledger_and_named_by_no_second(kind, mg):
    with tempfile.TemporaryDirectory() as name:
        rig = FactorRig(Path(name))
        rig.scans(12)
        with pytest.raises(DataError, match="not a location average"):
            rig.use(mg, kind)
        rig.fake.mg = mg  # and even where a controller had it, it is nobody's
        rig.scans(20)
        rig.feed.close()
        seen = hold_every_second(rig)
        assert seen["FACTOR"] == seen["named"] == 0
        assert seen["unknown"] > 0
