"""The ledger's laws: any tree, any pack, any order of writing, signing and dying."""

import hashlib
import random
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_rig import UTC_NS

from edgectl.ledger import Cursor, Kind, Ledger, Row, merkle
from edgectl.ledger.clock import ClockState
from edgectl.ledger.record import (
    Codec,
    PackError,
    Stored,
    decode,
    encode,
    leaf_of,
    leaves_of,
)
from edgectl.ledger.seal import parse_log
from edgectl.ledger.signing import KeyRing
from edgectl.ledger.verify import verify

HASH = st.integers(0, 255).map(lambda one: hashlib.sha256(bytes([one])).digest())
NOW = ClockState(UTC_NS, "unknown", None)
PARTS = st.lists(st.binary(max_size=12), max_size=3).map(tuple)
RECORDS = st.lists(
    st.builds(Stored, st.binary(min_size=1, max_size=9), PARTS, st.just(b"abcd")), max_size=20
)


@given(leaves=st.lists(HASH, min_size=1, max_size=70), data=st.data())
def test_each_proof_holds_and_a_changed_one_does_not(leaves, data):
    size = len(leaves)
    index = data.draw(st.integers(0, size - 1))
    root = merkle.root(leaves)
    proof = merkle.inclusion_proof(leaves, index)
    assert merkle.verify_inclusion(index, size, leaves[index], proof, root)
    assert not merkle.verify_inclusion(index, size, leaves[index], [*proof, root], root)
    assert not merkle.verify_inclusion(size, size, leaves[index], proof, root)
    if proof:
        at = data.draw(st.integers(0, len(proof) - 1))
        changed = [*proof[:at], hashlib.sha256(proof[at]).digest(), *proof[at + 1 :]]
        assert not merkle.verify_inclusion(index, size, leaves[index], changed, root)


@given(leaves=st.lists(HASH, min_size=1, max_size=70), data=st.data())
def test_a_tree_that_grew_is_consistent_and_another_is_not(leaves, data):
    before = data.draw(st.integers(1, len(leaves)))
    old, new = merkle.root(leaves[:before]), merkle.root(leaves)
    proof = merkle.consistency_proof(leaves, before)
    assert merkle.verify_consistency(before, len(leaves), old, new, proof)
    other = hashlib.sha256(old).digest()
    assert not merkle.verify_consistency(before, len(leaves), other, new, proof)
    assert not merkle.verify_consistency(before, len(leaves), old, other, proof)


@given(leaves=st.lists(HASH, max_size=90), data=st.data())
def test_a_tree_may_grow_in_any_steps_and_a_run_proves_itself(leaves, data):
    tree = merkle.Frontier()
    while tree.size < len(leaves):
        step = data.draw(st.integers(1, len(leaves) - tree.size))
        tree.add(leaves[tree.size : tree.size + step])
        assert tree.root() == merkle.root(leaves[: tree.size])
        again = merkle.Frontier.from_bytes(tree.size, tree.to_bytes())
        assert again.peaks == tree.peaks
    low = data.draw(st.integers(0, len(leaves)))
    high = data.draw(st.integers(low, len(leaves)))
    left = merkle.Frontier()
    left.add(leaves[:low])
    right = b"".join(each for _, each in merkle.cover(high, leaves[high:]))
    found = merkle.root_with_run(low, len(leaves), left.to_bytes(), leaves[low:high], right)
    assert found == tree.root()
    assert merkle.root_with_run(low, len(leaves), left.to_bytes(), leaves[low:high], b"x") is None


@given(records=RECORDS, codec=st.sampled_from(Codec), first=st.integers(0, 2**40))
def test_a_pack_gives_back_its_records_and_their_leaves(records, codec, first):
    body = encode(records, codec)
    assert decode(body) == records
    key = bytes(range(32))
    each = [leaf_of(key, seq, one.head, one.parts) for seq, one in enumerate(records, start=first)]
    assert leaves_of(key, first, records) == each


@given(records=RECORDS, codec=st.sampled_from(Codec), data=st.data())
def test_a_pack_that_was_altered_is_refused_or_gives_other_bytes_never_an_accident(
    records, codec, data
):
    body = bytearray(encode(records, codec))
    body[data.draw(st.integers(0, len(body) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    try:
        decode(bytes(body))
    except PackError:
        return


@given(content=st.binary(max_size=200))
def test_bytes_that_are_no_pack_are_refused_and_nothing_else_happens(content):
    try:
        decode(content)
    except PackError:
        return


@given(content=st.binary(max_size=400))
def test_bytes_that_are_no_log_hold_no_page(content):
    assert parse_log(b"\x37\x7f\x06\x82" + content).pages == {}


@settings(max_examples=25, deadline=None)
@given(
    steps=st.lists(
        st.tuples(st.sampled_from(("append", "append", "bulk", "sign", "reopen", "die")),
                  st.integers(1, 40)),
        min_size=1, max_size=12,
    ),
    seed=st.integers(0, 9),
)  # fmt: skip
def test_a_ledger_verifies_after_any_course_of_writing_signing_and_dying(steps, seed):
    dice = random.Random(seed)
    with tempfile.TemporaryDirectory() as name:
        where = Path(name)
        ring = KeyRing(where / "any.key")
        ledger = Ledger("any", where, signer=ring.signer)
        written = 0
        for what, count in [("append", 1), ("sign", 1), *steps]:
            if what in ("append", "bulk"):
                entries = []
                for number in range(written, written + (count if what == "bulk" else 1)):
                    part = dice.randbytes(dice.choice((0, 5, 200)))
                    utc_s = UTC_NS // 10**9 + number * 86_400  # over months
                    row = Row(Kind.SECOND, 1, utc_s, number, number, {"n": number}, (part,))
                    entries.append((row, Cursor(1, number + 1)))
                ledger.append(entries)
                written += len(entries)
            elif what == "sign":
                ring.sign(ledger, "interval", NOW)
            else:
                if what == "die":
                    ledger.signer = None  # as if killed: nothing is sealed on the way out
                    ledger._sealer.keep_log()
                ledger.close()
                ledger = Ledger("any", where, signer=ring.signer)
        ring.sign(ledger, "stop", NOW)
        assert ledger.altered == []
        assert [row.public["n"] for row in ledger.rows()] == list(range(written))
        ledger.close()
        (result,) = verify(where, ring.signer.public)
        assert result.good, result.bad
        assert result.records == written
