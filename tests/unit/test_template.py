"""Templates of the file: what they may do, and what becomes of those that go too far."""

import pytest

from vigilbase.alerts.channels.template import MAX_RENDERED, TemplateFailure, rendered


def test_values_are_written_as_they_are_or_as_json() -> None:
    said = {"said": 'a "quoted" & <word>'}
    assert rendered("{{ said }}", said) == 'a "quoted" & <word>'
    assert rendered("{{ said | tojson }}", said) == r'"a \"quoted\" \u0026 \u003cword\u003e"'
    assert rendered("{% for a in all %}{{ loop.index * 2 }} {{ a }},{% endfor %}", {"all": ["x", "y"]}) == "2 x,4 y,"


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("{{ nothing }}", "can't be rendered: 'nothing' is undefined"),
        ("{{ nothing | tojson }}", "can't be rendered: 'nothing' is undefined"),
        ("{{ [alert.idd] | tojson }}", "can't be rendered: 'dict object' has no attribute 'idd'"),
        ("{{ (seen | map('upper')) | tojson }}", "can't be rendered: tojson can't write a generator"),
        ("a\n{% for %}", "is no Jinja template: line 2: "),
        ("{{ alert.id }", "is no Jinja template: line 1: "),
        ("{{ ''.__class__.__mro__ }}", "can't be rendered: "),
        ("{{ 'x' * 1000000000 }}", "can't be rendered: * is for numbers up to 10,000"),
        ("{{ 9999 ** 9999 }}", "can't be rendered: ** is for powers up to 10"),
        ("{{ 1 / 0 }}", "can't be rendered: ZeroDivisionError"),
        ("{% for i in range(99999) %}{{ 'x' * 1 if 0 else 'xxxxxxxx' }}{% endfor %}", "renders more than 256 KiB"),
        ("{% for i in range(9999999) %}{% endfor %}", "can't be rendered: OverflowError"),
        ("{% include 'other' %}", "can't be rendered: "),
        ("{{ seen.append(1) }}", "can't be rendered: "),
    ],
)
def test_a_template_that_goes_too_far_fails_and_says_why(template: str, reason: str) -> None:
    with pytest.raises(TemplateFailure) as failure:
        rendered(template, {"seen": [], "alert": {"id": 1}})
    assert str(failure.value).startswith(reason)


def test_what_is_rendered_may_be_as_long_as_the_limit() -> None:
    assert len(rendered("{{ said }}", {"said": "x" * MAX_RENDERED})) == MAX_RENDERED


def test_a_template_that_takes_too_long_ends() -> None:
    with pytest.raises(TemplateFailure, match="takes longer"):
        rendered("{% for i in range(99999) %}{% for j in range(9999) %}{% endfor %}{{ '' }}{% endfor %}", {})
