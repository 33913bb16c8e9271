"""YAML with positions: the values of a text, and the faults of an invalid one."""

import pytest

from vigilbase.configfile.document import MAX_DEPTH, read_document

TEXT = "must be text; write it in quotes"
KEY = "a key must be text; write it in quotes"
TAG = "is not a valid value for its tag"
NUMBER = "must be a finite number below 1e300"


def _read_first_fault(text: str) -> tuple[int, str, str]:
    """Return the line, path and message of the first fault."""
    fault = read_document(text, {}).faults[0]
    return fault.line, ".".join(map(str, fault.path)), fault.message


def test_read_document_plain_values_become_json_values() -> None:
    document = read_document("- text\n- 3\n- 1.5\n- true\n-\n- [1, {g: '2'}]\n- 0x10\n- =\n- <<\n- {'<<': k}\n", {})
    assert not document.faults
    assert document.value == ["text", 3, 1.5, True, None, [1, {"g": "2"}], 16, "=", "<<", {"<<": "k"}]


def test_read_document_yaml_1_1_boolean_keys_are_text() -> None:
    document = read_document("on: on\nOff: {yes: off}\nNO: no\n", {})
    assert not document.faults
    assert document.value == {"on": True, "Off": {"yes": False}, "NO": False}


def test_read_document_empty_text_gives_none() -> None:
    for text in ("", "# a comment\n", "---\n", "\ufeff"):
        document = read_document(text, {})
        assert (document.value, document.faults) == (None, [])


def test_read_document_merge_keys_are_resolved_and_explicit_keys_win() -> None:
    text = (
        "a: &a {x: 1, y: 1}\n"
        "b: &b {y: 2, z: 2}\n"
        "c: {<<: *a, y: 3}\n"
        "d: {<<: [*a, *b]}\n"
        "e: &e {<<: *b, x: 5}\n"
        "f: [*e, *a, &s text, *s]\n"
    )
    value = read_document(text, {}).value
    assert isinstance(value, dict)
    assert value["c"] == {"x": 1, "y": 3}
    assert value["d"] == {"x": 1, "y": 1, "z": 2}
    assert value["f"] == [{"x": 5, "y": 2, "z": 2}, {"x": 1, "y": 1}, "text", "text"]


def test_document_locate_returns_line_of_path_or_known_parent() -> None:
    document = read_document("# c\na:\n  - b: 1\n    c:\n      text\n  - d\n<<: &m\n  e: 2\n", {})
    for path, known, line in [
        (("a",), ("a",), 2),
        (("a", 0), ("a", 0), 3),
        (("a", 0, "c"), ("a", 0, "c"), 4),
        (("a", 1), ("a", 1), 6),
        (("e",), ("e",), 8),
        (("a", 0, "x", "y"), ("a", 0), 3),
        (("a", 7), ("a",), 2),
        ((), (), 2),
    ]:
        assert document.locate(path) == (known, line)


DEEP = "[" * (MAX_DEPTH + 2) + "]" * (MAX_DEPTH + 2)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("a: 1\nb: 2\na: 3", (3, "a", "is a duplicate of the key on line 1")),
        ("x:\n  a: 1\n  'a': 3", (3, "x.a", "is a duplicate of the key on line 2")),
        ("x: &x {}\ny:\n  <<: *x\n  <<: *x", (4, "y.<<", "is a duplicate of the key on line 3")),
        ("a:\n  true: 1", (2, "a", KEY)),
        ("a:\n  'on': 1\n  on: 1", (3, "a.on", "is a duplicate of the key on line 2")),
        ("200: ok", (1, "", KEY)),
        ("2026-01-01: ok", (1, "", KEY)),
        ("? [a]\n: ok", (1, "", KEY)),
        ('"\\ud800": ok', (1, "", KEY)),
        ('a: "\\ud800"', (1, "a", "must be valid UTF-8 text")),
        ("a:\n  b: 2026-01-01", (2, "a.b", TEXT)),
        ("a: 2026-13-45", (1, "a", TEXT)),
        ("a: !!int z", (1, "a", TAG)),
        ("a: !!bool z", (1, "a", TAG)),
        ("a: !!int ''", (1, "a", TAG)),
        ("a: " + "9" * 5000, (1, "a", NUMBER)),
        ("a: -" + "9" * 5000 + ":1", (1, "a", NUMBER)),
        ("a: !!int " + "z" * 5000, (1, "a", TAG)),
        ("a: .nan", (1, "a", NUMBER)),
        ("a: -.inf", (1, "a", NUMBER)),
        ("a: 1.0e+999", (1, "a", NUMBER)),
        ("a: " + "9" * 400, (1, "a", NUMBER)),
        ("a: &a [*a]", (1, "a.0", "contains itself")),
        ("&a [*a, *a]", (1, "0", "contains itself")),
        ("a: &a\n  b: *a", (1, "a.b", "contains itself")),
        ("a: &a\n  <<: *a", (1, "a", "contains itself")),
        ("a: &a {b: &b {<<: *a}, <<: *b}", (1, "a", "contains itself")),
        ("a: {<<: 3}", (1, "a", "<< must be followed by an alias of a mapping")),
        ("a: {<<: [3]}", (1, "a", "<< must be followed by an alias of a mapping")),
        (DEEP, (1, ".".join("0" * (MAX_DEPTH + 1)), f"is nested more than {MAX_DEPTH} levels deep")),
        ("[" * 3000, (1, "", "invalid YAML: nested too deeply")),
        ("a: 1\n--- \nb: 2", (2, "", "must be a single YAML document; remove this --- and what follows")),
        ("a:\n\tb: 1", (2, "", "invalid YAML: indent with spaces, not tabs")),
        ("a: 1\nb: @c", (2, "", "write text that begins with @ in quotes")),
        ("a: `c`", (1, "", "write text that begins with ` in quotes")),
        ("a: %c", (1, "", "write text that begins with % in quotes")),
        ("a: \x01", (1, "", "invalid YAML: remove the non-printable character")),
        ("a: 1\nb: 1\nc: \x00", (3, "", "invalid YAML: remove the non-printable character")),
        ("a: 1\nb: [", (2, "", "invalid YAML: expected the node content, but found '<stream end>'")),
        ("a: 1\nb: c: d", (2, "", "invalid YAML: check the indentation, and write text with ': ' in quotes")),
        ("a:\n  - b: 1\n c: 2", (3, "", "invalid YAML: check the indentation")),
        ('a: "\\UFFFFFFFF"', (1, "", "invalid YAML")),
    ],
)  # fmt: skip
def test_read_document_fault_has_line_path_and_text(text: str, fault: tuple[int, str, str]) -> None:
    assert _read_first_fault(text) == fault


@pytest.mark.parametrize("tag", ["!secret", "!!python/object/apply:os.getcwd", "!!binary", "!!set", "!!omap", "!<x>"])
@pytest.mark.parametrize("value", ["", "hunter2", "[]", "{}"])
def test_read_document_unknown_tag_is_rejected(tag: str, value: str) -> None:
    assert _read_first_fault(f"a:\n  b: {tag} {value}") == (
        2,
        "a.b",
        "unknown tag; write text that begins with ! in quotes",
    )


@pytest.mark.parametrize("text", ["a: *hunter2", "a: !hunter2!x", "a: [&hunter2 1, &hunter2 2]", "a: !hunter2"])
def test_read_document_secret_parsed_as_yaml_syntax_is_hidden(text: str) -> None:
    _, _, message = _read_first_fault(text)
    assert "hunter2" not in message
    assert message.endswith("in quotes")


@pytest.mark.parametrize(
    "text",
    [
        "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 30)),
        f"a0: &a0 {{{', '.join(f'k{n}: 1' for n in range(1000))}}}\n"
        + "".join(f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 10)}]}}\n" for n in range(1, 30)),
        "a: &a '" + "x" * 1_000_000 + "'\nb: [" + "*a, " * 5_000 + "]\n",
    ],
    ids=["lists", "merges", "texts"],
)  # fmt: skip
def test_read_document_excessive_alias_expansion_is_rejected(text: str) -> None:
    assert _read_first_fault(text)[2] == "is repeated by aliases too often; use fewer aliases"


def test_read_document_alias_shared_by_ten_thousand_services_is_accepted() -> None:
    text = "x: &x {a: 1, b: 2, c: {d: 3}}\nservices:\n" + "  - {<<: *x, e: *x}\n" * 10_000
    assert not read_document(text, {}).faults
