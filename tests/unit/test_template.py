"""Templates: rendering, and the limits of the sandbox."""

import pytest

from vigilbase.channels.template import MAX_LENGTH, TemplateFailure, render_template


def test_render_template_values_are_written_as_text_or_json() -> None:
    values = {"text": 'a "quoted" & <word>'}
    assert render_template("{{ text }}", values) == 'a "quoted" & <word>'
    assert render_template("{{ text | tojson }}", values) == r'"a \"quoted\" \u0026 \u003cword\u003e"'
    assert (
        render_template("{% for a in all %}{{ loop.index * 2 }} {{ a }},{% endfor %}", {"all": ["x", "y"]})
        == "2 x,4 y,"
    )


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("{{ unknown }}", "can't be rendered: 'unknown' is undefined"),
        ("{{ unknown | tojson }}", "can't be rendered: 'unknown' is undefined"),
        ("{{ [alert.idd] | tojson }}", "can't be rendered: 'dict object' has no attribute 'idd'"),
        ("{{ (items | map('upper')) | tojson }}", "can't be rendered: tojson can't write a generator"),
        ("a\n{% for %}", "must be a Jinja template: line 2: "),
        ("{{ alert.id }", "must be a Jinja template: line 1: "),
        ("{{ ''.__class__.__mro__ }}", "can't be rendered: "),
        ("{{ 'x' * 1000000000 }}", "can't be rendered: * is limited to numbers up to 10,000"),
        ("{{ 9999 ** 9999 }}", "can't be rendered: ** is limited to exponents up to 10"),
        ("{{ 1 / 0 }}", "can't be rendered: ZeroDivisionError"),
        (
            "{% for i in range(99999) %}{{ 'x' * 1 if 0 else 'xxxxxxxx' }}{% endfor %}",
            "must not render more than 256 KiB",
        ),
        ("{% for i in range(9999999) %}{% endfor %}", "can't be rendered: OverflowError"),
        ("{% include 'other' %}", "can't be rendered: "),
        ("{{ items.append(1) }}", "can't be rendered: "),
    ],
)
def test_render_template_invalid_or_excessive_template_fails_with_reason(template: str, reason: str) -> None:
    with pytest.raises(TemplateFailure) as failure:
        render_template(template, {"items": [], "alert": {"id": 1}})
    assert str(failure.value).startswith(reason)


def test_render_template_output_of_maximum_length_is_accepted() -> None:
    assert len(render_template("{{ text }}", {"text": "x" * MAX_LENGTH})) == MAX_LENGTH


def test_render_template_slow_template_is_stopped() -> None:
    with pytest.raises(TemplateFailure, match="longer than 1 s"):
        render_template("{% for i in range(99999) %}{% for j in range(9999) %}{% endfor %}{{ '' }}{% endfor %}", {})
