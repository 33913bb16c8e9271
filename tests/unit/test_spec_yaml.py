"""YAML with positions: what comes out of a text, and what is said about one that is wrong."""

import pytest

from vigilbase.spec.document import MAX_DEPTH, read_document

INDENTED = "is no YAML: is this line indented like the ones above?"


def _fault(text: str) -> tuple[int, str, str]:
    """Line, path and words of the first fault."""
    fault = read_document(text, {}).faults[0]
    return fault.line, ".".join(map(str, fault.path)), fault.said


def test_plain_values_are_those_of_json() -> None:
    document = read_document("- text\n- 3\n- 1.5\n- true\n-\n- [1, {g: '2'}]\n- 0x10\n- =\n- <<\n- {'<<': k}\n", {})
    assert not document.faults
    assert document.value == ["text", 3, 1.5, True, None, [1, {"g": "2"}], 16, "=", "<<", {"<<": "k"}]


def test_words_that_are_truth_values_in_yaml_1_1_alone_are_text_as_keys() -> None:
    document = read_document("on: on\nOff: {yes: off}\nNO: no\n", {})
    assert not document.faults
    assert document.value == {"on": True, "Off": {"yes": False}, "NO": False}


def test_an_empty_text_says_nothing() -> None:
    for text in ("", "# a comment\n", "---\n", "\ufeff"):
        document = read_document(text, {})
        assert (document.value, document.faults) == (None, [])


def test_anchors_and_merge_keys_work_and_what_is_written_beats_what_is_merged() -> None:
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


def test_a_path_has_a_line_and_an_unknown_one_that_of_its_parent() -> None:
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
        ("a: 1\nb: 2\na: 3", (3, "a", "is there twice, first in line 1")),
        ("x:\n  a: 1\n  'a': 3", (3, "x.a", "is there twice, first in line 2")),
        ("x: &x {}\ny:\n  <<: *x\n  <<: *x", (4, "y.<<", "is there twice, first in line 3")),
        ("a:\n  true: 1", (2, "a", "a key must be text; write it in quotes")),
        ("a:\n  'on': 1\n  on: 1", (3, "a.on", "is there twice, first in line 2")),
        ("200: ok", (1, "", "a key must be text; write it in quotes")),
        ("2026-01-01: ok", (1, "", "a key must be text; write it in quotes")),
        ("? [a]\n: ok", (1, "", "a key must be text; write it in quotes")),
        ('"\\ud800": ok', (1, "", "a key must be text; write it in quotes")),
        ('a: "\\ud800"', (1, "a", "must be text in UTF-8")),
        ("a:\n  b: 2026-01-01", (2, "a.b", "must be text; write it in quotes")),
        ("a: 2026-13-45", (1, "a", "must be text; write it in quotes")),
        ("a: !!int z", (1, "a", "is not what its tag says")),
        ("a: !!bool z", (1, "a", "is not what its tag says")),
        ("a: !!int ''", (1, "a", "is not what its tag says")),
        ("a: " + "9" * 5000, (1, "a", "must be a finite number, and not a huge one")),
        ("a: -" + "9" * 5000 + ":1", (1, "a", "must be a finite number, and not a huge one")),
        ("a: !!int " + "z" * 5000, (1, "a", "is not what its tag says")),
        ("a: .nan", (1, "a", "must be a finite number, and not a huge one")),
        ("a: -.inf", (1, "a", "must be a finite number, and not a huge one")),
        ("a: 1.0e+999", (1, "a", "must be a finite number, and not a huge one")),
        ("a: " + "9" * 400, (1, "a", "must be a finite number, and not a huge one")),
        ("a: &a [*a]", (1, "a.0", "contains itself")),
        ("&a [*a, *a]", (1, "0", "contains itself")),
        ("a: &a\n  b: *a", (1, "a.b", "contains itself")),
        ("a: &a\n  <<: *a", (1, "a", "contains itself")),
        ("a: &a {b: &b {<<: *a}, <<: *b}", (1, "a", "contains itself")),
        ("a: {<<: 3}", (1, "a", "<< must be followed by an alias of a mapping")),
        ("a: {<<: [3]}", (1, "a", "<< must be followed by an alias of a mapping")),
        (DEEP, (1, ".".join("0" * (MAX_DEPTH + 1)), f"is nested more than {MAX_DEPTH} levels deep")),
        ("[" * 3000, (1, "", "is no YAML that can be read: nested too deeply")),
        ("a: 1\n--- \nb: 2", (2, "", "must be one YAML document, without a second after ---")),
        ("a:\n\tb: 1", (2, "", "a tab; YAML is indented with spaces")),
        ("a: 1\nb: @c", (2, "", "write a text that begins with @ in quotes")),
        ("a: `c`", (1, "", "write a text that begins with ` in quotes")),
        ("a: %c", (1, "", "write a text that begins with % in quotes")),
        ("a: \x01", (1, "", "is no YAML: a character that no text has")),
        ("a: 1\nb: 1\nc: \x00", (3, "", "is no YAML: a character that no text has")),
        ("a: 1\nb: [", (2, "", "is no YAML: expected the node content, but found '<stream end>'")),
        ("a: 1\nb: c: d", (2, "", f"{INDENTED} And a text with ': ' in it must be in quotes")),
        ("a:\n  - b: 1\n c: 2", (3, "", INDENTED)),
        ('a: "\\UFFFFFFFF"', (1, "", "is no YAML")),
    ],
)  # fmt: skip
def test_a_mistake_has_a_line_a_path_and_words(text: str, fault: tuple[int, str, str]) -> None:
    assert _fault(text) == fault


@pytest.mark.parametrize("tag", ["!secret", "!!python/object/apply:os.getcwd", "!!binary", "!!set", "!!omap", "!<x>"])
@pytest.mark.parametrize("value", ["", "hunter2", "[]", "{}"])
def test_only_tags_of_plain_values_are_known(tag: str, value: str) -> None:
    assert _fault(f"a:\n  b: {tag} {value}") == (2, "a.b", "an unknown tag; write a text that begins with ! in quotes")


@pytest.mark.parametrize("text", ["a: *hunter2", "a: !hunter2!x", "a: [&hunter2 1, &hunter2 2]", "a: !hunter2"])
def test_a_password_that_yaml_takes_for_something_else_is_not_shown(text: str) -> None:
    _, _, said = _fault(text)
    assert "hunter2" not in said
    assert said.endswith("in quotes")


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
def test_aliases_of_aliases_come_to_an_end(text: str) -> None:
    assert _fault(text)[2] == "is repeated by aliases too often"


def test_ten_thousand_services_may_share_what_they_have_in_common() -> None:
    text = "x: &x {a: 1, b: 2, c: {d: 3}}\nservices:\n" + "  - {<<: *x, e: *x}\n" * 10_000
    assert not read_document(text, {}).faults
