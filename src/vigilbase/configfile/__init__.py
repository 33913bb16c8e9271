"""Reads and validates `vigilbase.yaml`."""

from vigilbase.configfile.loader import Config, ServiceConfig, load_config, parse_config
from vigilbase.configfile.schema import make_file_schema
from vigilbase.configfile.starter import STARTER

__all__ = [
    "STARTER",
    "Config",
    "ServiceConfig",
    "load_config",
    "make_file_schema",
    "parse_config",
]
