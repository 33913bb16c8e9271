"""The short form of phases in the database."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vigilbase.domain import JSON
from vigilbase.phases import PHASES, pack_phases, unpack_phases

_TENTHS = st.integers(0, 999_999_999).map(lambda tenths: tenths / 10)
_PHASES = st.dictionaries(st.sampled_from([f"{phase}_ms" for phase in PHASES]), _TENTHS, min_size=1)
_ANYTHING: st.SearchStrategy[JSON] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.text("0123456789.- "),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["dns_ms", "tls_ms", "x"]), inner),
)


def test_phases_stored_names_keep_positions() -> None:
    assert PHASES[:7] == ("dns", "connect", "tls", "first_byte", "transfer", "query", "ping")


@pytest.mark.parametrize(
    ("phases", "text"),
    [
        ({"dns_ms": 1.2, "connect_ms": 12.4, "tls_ms": 11.0, "first_byte_ms": 28.0, "transfer_ms": 1.6},
         "1.2 12.4 11 28 1.6"),
        ({"connect_ms": 3.1, "query_ms": 2.0}, "- 3.1 - - - 2"),
        ({"ping_ms": 0.4, "connect_ms": 0.3}, "- 0.3 - - - - 0.4"),
        ({"dns_ms": 0.0, "connect_ms": 0.1}, "0 0.1"),
        ({"dns_ms": 5}, "5"),
        ({"dns_ms": 10.0}, "10"),
        ({"dns_ms": 99_999_999.9}, "99999999.9"),
        ({phase + "_ms": 1.5 for phase in PHASES}, " ".join(["1.5"] * len(PHASES))),
    ],
)  # fmt: skip
def test_pack_phases_known_names_become_text_and_unpack(phases: dict[str, JSON], text: str) -> None:
    details: dict[str, JSON] = {"status_code": 200, "phases": phases, "body_bytes": 2}
    packed = pack_phases(details)
    assert packed == {"status_code": 200, "phases": text, "body_bytes": 2}
    assert list(packed) == list(details)
    assert unpack_phases(packed) == details


@pytest.mark.parametrize(
    ("value", "text"), [(0.04, "0"), (0.06, "0.1"), (9.96, "10"), (-0.0, "0"), (1e-300, "0"), (123.456, "123.5")]
)
def test_pack_phases_value_is_rounded_to_tenths(value: float, text: str) -> None:
    assert pack_phases({"phases": {"dns_ms": value}}) == {"phases": text}


@pytest.mark.parametrize(
    "phases",
    [
        {},
        {"dns_ms": 1.0, "cache_ms": 2.0},
        {"dns": 1.0},
        {"dns_ms": None},
        {"dns_ms": True},
        {"dns_ms": "1.0"},
        {"dns_ms": [1.0]},
        {"dns_ms": 1.0, "connect_ms": -0.1},
        {"dns_ms": 100_000_000},
        {"dns_ms": math.inf},
        {"dns_ms": math.nan},
        {"dns_ms": 10**400},
        ["dns_ms"],
        "1.2 3",
        "waxing gibbous",
        7,
        None,
    ],
)
def test_pack_phases_unsupported_value_is_unchanged(phases: JSON) -> None:
    details = {"phases": phases}
    assert pack_phases(details) is details


@pytest.mark.parametrize(
    "phases",
    [
        "",
        " ",
        "-",
        "1 -",
        "1  2",
        " 1",
        "1 ",
        "1\n",
        "1\t2",
        "1.0",
        "1.25",
        "01",
        ".5",
        "1.",
        "+1",
        "-1",
        "1e3",
        "nan",
        "inf",
        "١",
        "9" * 9,
        "1,2",
        "waxing gibbous",
        " ".join(["1"] * (len(PHASES) + 1)),
        {"dns_ms": 1.0},
        ["1.2"],
        7,
        None,
    ],
)
def test_unpack_phases_unpacked_or_malformed_value_is_unchanged(phases: JSON) -> None:
    details = {"phases": phases}
    assert unpack_phases(details) is details


def test_phases_details_without_phases_are_unchanged() -> None:
    details: dict[str, JSON] = {"status_code": 200}
    assert pack_phases(details) is details
    assert unpack_phases(details) is details


@given(_PHASES)
def test_unpack_phases_reverses_pack_phases(phases: dict[str, JSON]) -> None:
    assert unpack_phases(pack_phases({"phases": phases})) == {"phases": phases}


@given(_PHASES | _ANYTHING)
def test_pack_phases_is_idempotent(phases: JSON) -> None:
    packed = pack_phases({"phases": phases})
    assert pack_phases(packed) is packed


@given(st.text("0123456789.- ", max_size=20) | st.lists(st.sampled_from(["-", "0", "1.5", "20"])).map(" ".join))
def test_unpack_phases_accepted_text_packs_to_same_text(text: str) -> None:
    details = {"phases": text}
    unpacked = unpack_phases(details)
    assert unpacked is details or pack_phases(unpacked) == details
