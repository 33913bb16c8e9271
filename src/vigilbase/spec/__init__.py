"""`vigilbase.yaml`: what to watch, read and checked."""

from vigilbase.durations import duration_s
from vigilbase.spec.fields import Defaults
from vigilbase.spec.reading import ServiceSpec, Spec, load_spec, parse_spec
from vigilbase.spec.schema import file_schema
from vigilbase.spec.starter import STARTER

__all__ = [
    "STARTER",
    "Defaults",
    "ServiceSpec",
    "Spec",
    "duration_s",
    "file_schema",
    "load_spec",
    "parse_spec",
]
