"""What is left of a check's details, as a table, and over any history."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vigilbase.runner.lean import FACTS, Known, changed_facts, thin
from vigilbase.vocabulary import JSON, STATUSES, Status

ADDRESS: dict[str, JSON] = {"remote_address": "192.0.2.1:443"}
OTHER: dict[str, JSON] = {"remote_address": "192.0.2.2:443"}
RESULT: dict[str, JSON] = {"status_code": 200, "body_bytes": 2, "phases": {"dns_ms": 1.2}}
DAYS: dict[str, JSON] = {"certificate_days": 61}
CERTIFICATE: JSON = {"subject": "CN=a", "names": ["a.example"], "days_left": 61}


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("details", [{**RESULT, **ADDRESS}, RESULT, ADDRESS])
def test_thin_first_check_after_a_start_keeps_everything(details: dict[str, JSON], status: Status) -> None:
    kept, known = thin(details, status, None)
    assert kept == details
    assert known.failed is (status == "down")


@pytest.mark.parametrize("known", [None, Known({}, False), Known(ADDRESS, False), Known(ADDRESS, True)])
@pytest.mark.parametrize("details", [None, {}])
def test_thin_no_details_stay_none(details: dict[str, JSON] | None, known: Known | None) -> None:
    kept, after = thin(details, "healthy", known)
    assert kept is None
    assert after == Known({} if known is None else known.facts, False)


@pytest.mark.parametrize(
    ("details", "status", "known", "kept", "facts_after"),
    [
        # the same as last time
        ({**RESULT, **ADDRESS}, "healthy", Known(ADDRESS, False), RESULT, ADDRESS),
        ({**RESULT, **ADDRESS}, "degraded", Known(ADDRESS, False), RESULT, ADDRESS),
        ({**RESULT, **ADDRESS, **DAYS}, "healthy", Known({**DAYS, **ADDRESS}, False), RESULT, {**DAYS, **ADDRESS}),
        (ADDRESS, "healthy", Known(ADDRESS, False), None, ADDRESS),
        ({"certificate": CERTIFICATE}, "healthy", Known({"certificate": CERTIFICATE}, False), None,
         {"certificate": CERTIFICATE}),
        ({"cipher": None}, "healthy", Known({"cipher": None}, False), None, {"cipher": None}),
        # down, and the one after it
        ({**RESULT, **ADDRESS}, "down", Known(ADDRESS, False), {**RESULT, **ADDRESS}, ADDRESS),
        ({**RESULT, **ADDRESS}, "down", Known(ADDRESS, True), {**RESULT, **ADDRESS}, ADDRESS),
        ({**RESULT, **ADDRESS}, "healthy", Known(ADDRESS, True), {**RESULT, **ADDRESS}, ADDRESS),
        ({**RESULT, **ADDRESS}, "degraded", Known(ADDRESS, True), {**RESULT, **ADDRESS}, ADDRESS),
        (ADDRESS, "down", Known(ADDRESS, False), ADDRESS, ADDRESS),
        (None, "down", Known(ADDRESS, False), None, ADDRESS),
        # another value, a new fact: all facts stay
        ({**RESULT, **OTHER}, "healthy", Known(ADDRESS, False), {**RESULT, **OTHER}, OTHER),
        ({**RESULT, **OTHER, **DAYS}, "healthy", Known({**ADDRESS, **DAYS}, False), {**RESULT, **OTHER, **DAYS},
         {**OTHER, **DAYS}),
        ({**ADDRESS, **DAYS}, "healthy", Known(ADDRESS, False), {**ADDRESS, **DAYS}, {**ADDRESS, **DAYS}),
        ({"certificate_days": 60}, "healthy", Known(DAYS, False), {"certificate_days": 60}, {"certificate_days": 60}),
        ({"certificate": {"days_left": 60}}, "healthy", Known({"certificate": CERTIFICATE}, False),
         {"certificate": {"days_left": 60}}, {"certificate": {"days_left": 60}}),
        ({"cipher": None}, "healthy", Known({}, False), {"cipher": None}, {"cipher": None}),
        (OTHER, "down", Known(ADDRESS, False), OTHER, OTHER),
        # a fact that isn't mentioned is no other
        (RESULT, "healthy", Known(ADDRESS, False), RESULT, ADDRESS),
        ({**RESULT, **DAYS}, "healthy", Known({**ADDRESS, **DAYS}, False), RESULT, {**ADDRESS, **DAYS}),
        # what is no fact of the target
        ({"in_recovery": True, "server_version": "18.4"}, "healthy", Known({"server_version": "18.4"}, False),
         {"in_recovery": True}, {"server_version": "18.4"}),
        ({"answers": ["192.0.2.1"], "ttl_s": 300, "resolver": "192.0.2.53:53"}, "healthy",
         Known({"resolver": "192.0.2.53:53"}, False), {"answers": ["192.0.2.1"], "ttl_s": 300},
         {"resolver": "192.0.2.53:53"}),
    ],
)  # fmt: skip
def test_thin_later_check_keeps_what_is_new(
    details: dict[str, JSON] | None,
    status: Status,
    known: Known,
    kept: dict[str, JSON] | None,
    facts_after: dict[str, JSON],
) -> None:
    assert thin(details, status, known) == (kept, Known(facts_after, status == "down"))


@pytest.mark.parametrize(
    ("before", "after", "changed"),
    [
        (None, {}, None),
        (None, ADDRESS, ADDRESS),
        ({}, {}, None),
        ({}, ADDRESS, ADDRESS),
        (ADDRESS, ADDRESS, None),
        (ADDRESS, OTHER, OTHER),
        (ADDRESS, {**ADDRESS, **DAYS}, {**ADDRESS, **DAYS}),
        ({**ADDRESS, **DAYS}, {**DAYS, **ADDRESS}, None),
    ],
)
def test_changed_facts_differ_are_given_whole(
    before: dict[str, JSON] | None, after: dict[str, JSON], changed: dict[str, JSON] | None
) -> None:
    assert changed_facts(None if before is None else Known(before, True), Known(after, False)) == changed


_DETAILS = st.dictionaries(st.sampled_from([*FACTS[:2], "status_code"]), st.sampled_from([1, 2]))


@given(st.lists(st.tuples(st.none() | _DETAILS, st.sampled_from(STATUSES))))
def test_thin_any_history_can_be_told_from_what_is_kept(history: list[tuple[dict[str, JSON] | None, Status]]) -> None:
    known: Known | None = None
    told: dict[str, JSON] = {}
    stored: dict[str, JSON] = {}
    written: dict[str, JSON] = {}
    for details, status in history:
        before, (kept, known) = known, thin(details, status, known)
        told |= {name: value for name, value in (details or {}).items() if name in FACTS}
        stored |= {name: value for name, value in (kept or {}).items() if name in FACTS}
        written |= changed_facts(before, known) or {}
        assert stored == written == known.facts == told
        assert (kept or {}).get("status_code") == (details or {}).get("status_code")
