"""The details that a check keeps, case by case and over any history."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vigilbase.domain import JSON, STATUSES, Status
from vigilbase.runner.target_facts import FACTS, KnownFacts, drop_known_facts, find_changed_facts

ADDRESS: dict[str, JSON] = {"remote_address": "192.0.2.1:443"}
OTHER: dict[str, JSON] = {"remote_address": "192.0.2.2:443"}
RESULT: dict[str, JSON] = {"status_code": 200, "body_bytes": 2, "phases": {"dns_ms": 1.2}}
DAYS: dict[str, JSON] = {"certificate_days": 61}
CERTIFICATE: JSON = {"subject": "CN=a", "names": ["a.example"], "days_left": 61}


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("details", [{**RESULT, **ADDRESS}, RESULT, ADDRESS])
def test_drop_known_facts_first_check_keeps_all_details(details: dict[str, JSON], status: Status) -> None:
    kept, known = drop_known_facts(details, status, None)
    assert kept == details
    assert known.was_down is (status == "down")


@pytest.mark.parametrize("known", [None, KnownFacts({}, False), KnownFacts(ADDRESS, False), KnownFacts(ADDRESS, True)])
@pytest.mark.parametrize("details", [None, {}])
def test_drop_known_facts_without_details_returns_none(
    details: dict[str, JSON] | None, known: KnownFacts | None
) -> None:
    kept, after = drop_known_facts(details, "healthy", known)
    assert kept is None
    assert after == KnownFacts({} if known is None else known.facts, False)


@pytest.mark.parametrize(
    ("details", "status", "known", "kept", "facts_after"),
    [
        # unchanged
        ({**RESULT, **ADDRESS}, "healthy", KnownFacts(ADDRESS, False), RESULT, ADDRESS),
        ({**RESULT, **ADDRESS}, "degraded", KnownFacts(ADDRESS, False), RESULT, ADDRESS),
        ({**RESULT, **ADDRESS, **DAYS}, "healthy", KnownFacts({**DAYS, **ADDRESS}, False), RESULT, {**DAYS, **ADDRESS}),
        (ADDRESS, "healthy", KnownFacts(ADDRESS, False), None, ADDRESS),
        ({"certificate": CERTIFICATE}, "healthy", KnownFacts({"certificate": CERTIFICATE}, False), None,
         {"certificate": CERTIFICATE}),
        ({"cipher": None}, "healthy", KnownFacts({"cipher": None}, False), None, {"cipher": None}),
        # a check that is down, and the one after it
        ({**RESULT, **ADDRESS}, "down", KnownFacts(ADDRESS, False), {**RESULT, **ADDRESS}, ADDRESS),
        ({**RESULT, **ADDRESS}, "down", KnownFacts(ADDRESS, True), {**RESULT, **ADDRESS}, ADDRESS),
        ({**RESULT, **ADDRESS}, "healthy", KnownFacts(ADDRESS, True), {**RESULT, **ADDRESS}, ADDRESS),
        ({**RESULT, **ADDRESS}, "degraded", KnownFacts(ADDRESS, True), {**RESULT, **ADDRESS}, ADDRESS),
        (ADDRESS, "down", KnownFacts(ADDRESS, False), ADDRESS, ADDRESS),
        (None, "down", KnownFacts(ADDRESS, False), None, ADDRESS),
        # a changed or new fact: all facts stay
        ({**RESULT, **OTHER}, "healthy", KnownFacts(ADDRESS, False), {**RESULT, **OTHER}, OTHER),
        ({**RESULT, **OTHER, **DAYS}, "healthy", KnownFacts({**ADDRESS, **DAYS}, False), {**RESULT, **OTHER, **DAYS},
         {**OTHER, **DAYS}),
        ({**ADDRESS, **DAYS}, "healthy", KnownFacts(ADDRESS, False), {**ADDRESS, **DAYS}, {**ADDRESS, **DAYS}),
        ({"certificate_days": 60}, "healthy", KnownFacts(DAYS, False), {"certificate_days": 60},
         {"certificate_days": 60}),
        ({"certificate": {"days_left": 60}}, "healthy", KnownFacts({"certificate": CERTIFICATE}, False),
         {"certificate": {"days_left": 60}}, {"certificate": {"days_left": 60}}),
        ({"cipher": None}, "healthy", KnownFacts({}, False), {"cipher": None}, {"cipher": None}),
        (OTHER, "down", KnownFacts(ADDRESS, False), OTHER, OTHER),
        # a missing fact is not a changed one
        (RESULT, "healthy", KnownFacts(ADDRESS, False), RESULT, ADDRESS),
        ({**RESULT, **DAYS}, "healthy", KnownFacts({**ADDRESS, **DAYS}, False), RESULT, {**ADDRESS, **DAYS}),
        # details that are not facts of the target
        ({"in_recovery": True, "server_version": "18.4"}, "healthy", KnownFacts({"server_version": "18.4"}, False),
         {"in_recovery": True}, {"server_version": "18.4"}),
        ({"answers": ["192.0.2.1"], "ttl_s": 300, "resolver": "192.0.2.53:53"}, "healthy",
         KnownFacts({"resolver": "192.0.2.53:53"}, False), {"answers": ["192.0.2.1"], "ttl_s": 300},
         {"resolver": "192.0.2.53:53"}),
    ],
)  # fmt: skip
def test_drop_known_facts_unchanged_facts_are_dropped_except_around_failures(
    details: dict[str, JSON] | None,
    status: Status,
    known: KnownFacts,
    kept: dict[str, JSON] | None,
    facts_after: dict[str, JSON],
) -> None:
    assert drop_known_facts(details, status, known) == (kept, KnownFacts(facts_after, status == "down"))


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
def test_find_changed_facts_any_difference_returns_all_facts(
    before: dict[str, JSON] | None, after: dict[str, JSON], changed: dict[str, JSON] | None
) -> None:
    assert find_changed_facts(None if before is None else KnownFacts(before, True), KnownFacts(after, False)) == changed


_DETAILS = st.dictionaries(st.sampled_from([*FACTS[:2], "status_code"]), st.sampled_from([1, 2]))


@given(st.lists(st.tuples(st.none() | _DETAILS, st.sampled_from(STATUSES))))
def test_drop_known_facts_any_history_can_be_rebuilt_from_kept_details(
    history: list[tuple[dict[str, JSON] | None, Status]],
) -> None:
    known: KnownFacts | None = None
    reported: dict[str, JSON] = {}
    kept_facts: dict[str, JSON] = {}
    saved: dict[str, JSON] = {}
    for details, status in history:
        before, (kept, known) = known, drop_known_facts(details, status, known)
        reported |= {name: value for name, value in (details or {}).items() if name in FACTS}
        kept_facts |= {name: value for name, value in (kept or {}).items() if name in FACTS}
        saved |= find_changed_facts(before, known) or {}
        assert kept_facts == saved == known.facts == reported
        assert (kept or {}).get("status_code") == (details or {}).get("status_code")
