"""Bodies that the file writes itself: a Jinja template in a sandbox. Pure."""

from collections.abc import Mapping
from functools import cache
from typing import NoReturn

from jinja2 import StrictUndefined, Template, TemplateError, TemplateRuntimeError, TemplateSyntaxError, Undefined
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from vigilbase.clock import monotonic

MAX_RENDERED = 256 * 1024
WITHIN_S = 1.0
_LARGEST_OPERAND = 10_000


class _Sandbox(ImmutableSandboxedEnvironment):
    """Jinja's sandbox, which keeps a template from Python, without numbers and texts that explode."""

    intercepted_binops = frozenset({"*", "**"})

    def call_binop(self, context: object, operator: str, left: object, right: object) -> object:
        if not all(isinstance(value, (int, float)) and abs(value) <= _LARGEST_OPERAND for value in (left, right)):
            raise SecurityError(f"{operator} is for numbers up to {_LARGEST_OPERAND:,}")
        if operator == "**" and isinstance(right, (int, float)) and abs(right) > 10:
            raise SecurityError("** is for powers up to 10")
        return super().call_binop(context, operator, left, right)  # type: ignore[arg-type]


class TemplateFailure(ValueError):  # noqa: N818 (named as the failures of probes are)
    """A template that can't be read or rendered; the text says where and why."""


def rendered(template: str, values: Mapping[str, object]) -> str:
    """What a template makes of these values: at most 256 KiB, in about a second.

    A name that isn't there is an error, and not an empty text. `tojson` writes any value as JSON.

    Raises:
        TemplateFailure: it is no template, or fails.

    """
    deadline = monotonic() + WITHIN_S
    made: list[str] = []
    size = 0
    try:
        for part in _compiled(template).generate(values):
            made.append(part)
            size += len(part)
            if size > MAX_RENDERED:
                raise TemplateFailure(f"renders more than {MAX_RENDERED // 1024} KiB")
            if monotonic() > deadline:
                raise TemplateFailure(f"takes longer than {WITHIN_S:g} s")
    except TemplateSyntaxError as error:
        raise TemplateFailure(f"is no Jinja template: line {error.lineno}: {error.message}") from None
    except TemplateError as error:
        raise TemplateFailure(f"can't be rendered: {error.message}") from None
    except (TypeError, ValueError, ArithmeticError, LookupError, AttributeError, RecursionError) as error:
        if isinstance(error, TemplateFailure):
            raise
        raise TemplateFailure(f"can't be rendered: {type(error).__name__}") from None
    return "".join(made)


@cache
def _compiled(template: str) -> Template:
    return _environment().from_string(template)


@cache
def _environment() -> ImmutableSandboxedEnvironment:
    environment = _Sandbox(autoescape=False, undefined=StrictUndefined, keep_trailing_newline=False)
    environment.policies["json.dumps_kwargs"] = {**environment.policies["json.dumps_kwargs"], "default": _refuse}
    return environment


def _refuse(value: object) -> NoReturn:
    """What `tojson` does with a value that JSON doesn't have."""
    if isinstance(value, Undefined):
        str(value)  # which raises, and says the name
    raise TemplateRuntimeError(f"tojson can't write a {type(value).__name__}")
