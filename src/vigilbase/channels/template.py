"""Webhook bodies from the file's own Jinja templates, rendered in a sandbox. Pure."""

from collections.abc import Mapping
from functools import cache
from typing import NoReturn

from jinja2 import StrictUndefined, Template, TemplateError, TemplateRuntimeError, TemplateSyntaxError, Undefined
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from vigilbase.clock import monotonic

MAX_LENGTH = 256 * 1024
TIME_LIMIT_S = 1.0
_MAX_OPERAND = 10_000
_MAX_EXPONENT = 10


class _Sandbox(ImmutableSandboxedEnvironment):
    """Jinja's sandbox, which also prevents huge numbers and texts."""

    intercepted_binops = frozenset({"*", "**"})

    def call_binop(self, context: object, operator: str, left: object, right: object) -> object:
        if not all(isinstance(value, (int, float)) and abs(value) <= _MAX_OPERAND for value in (left, right)):
            raise SecurityError(f"{operator} is limited to numbers up to {_MAX_OPERAND:,}")
        if operator == "**" and isinstance(right, (int, float)) and abs(right) > _MAX_EXPONENT:
            raise SecurityError(f"** is limited to exponents up to {_MAX_EXPONENT}")
        return super().call_binop(context, operator, left, right)  # type: ignore[arg-type]


class TemplateFailure(ValueError):  # noqa: N818 (Jinja has a TemplateError)
    """A template is invalid or can't be rendered."""


def render_template(template: str, values: Mapping[str, object]) -> str:
    """Render a template: at most 256 KiB, in about a second. An unknown name is an error, not an empty text.

    Raises:
        TemplateFailure: the template is invalid, fails, or exceeds a limit.

    """
    deadline = monotonic() + TIME_LIMIT_S
    parts: list[str] = []
    length = 0
    try:
        for part in _compile(template).generate(values):
            parts.append(part)
            length += len(part)
            if length > MAX_LENGTH:
                raise TemplateFailure(f"must not render more than {MAX_LENGTH // 1024} KiB")
            # Checked at each output, so a loop without output isn't stopped.
            if monotonic() > deadline:
                raise TemplateFailure(f"must not take longer than {TIME_LIMIT_S:g} s")
    except TemplateSyntaxError as error:
        raise TemplateFailure(f"must be a Jinja template: line {error.lineno}: {error.message}") from None
    except TemplateError as error:
        raise TemplateFailure(f"can't be rendered: {error.message}") from None
    except (TypeError, ValueError, ArithmeticError, LookupError, AttributeError, RecursionError) as error:
        if isinstance(error, TemplateFailure):
            raise
        raise TemplateFailure(f"can't be rendered: {type(error).__name__}") from None
    return "".join(parts)


@cache
def _compile(template: str) -> Template:
    return _make_environment().from_string(template)


@cache
def _make_environment() -> ImmutableSandboxedEnvironment:
    # No HTML escapes: bodies are JSON, whose values `tojson` quotes, or plain text.
    environment = _Sandbox(autoescape=False, undefined=StrictUndefined, keep_trailing_newline=False)
    environment.policies["json.dumps_kwargs"] = {**environment.policies["json.dumps_kwargs"], "default": _reject_value}
    return environment


def _reject_value(value: object) -> NoReturn:
    """Fail for a value that `tojson` can't write."""
    if isinstance(value, Undefined):
        str(value)  # raises an error with the name
    raise TemplateRuntimeError(f"tojson can't write a {type(value).__name__}")
