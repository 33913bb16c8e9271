"""Converts YAML to plain JSON values, and knows the line of each.

PyYAML only composes the nodes. Its own construction of values would lose their positions, accept duplicate keys, and
expand aliases without a limit.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import yaml

from vigilbase.configfile.scalars import LIST, MAPPING, MERGE, is_key, parse_number_or_bool, read_scalar
from vigilbase.configfile.substitution import has_variable
from vigilbase.configfile.syntax import UNKNOWN_TAG, Fault, Path, compose

Value: TypeAlias = "str | int | float | bool | list[Value] | dict[str, Value] | None"

MAX_DEPTH = 50
MAX_REPEATED = 250_000
"""How many nodes aliases may repeat; each 64 characters of a text count as another node."""

Entries: TypeAlias = dict[str, tuple[yaml.Node, yaml.Node]]


@dataclass(slots=True)
class Document:
    """A YAML document: its `value`, its `faults`, and the line of each part."""

    environ: Mapping[str, str]
    root: yaml.Node | None = None
    value: Value = None
    faults: list[Fault] = field(default_factory=list)
    # By id() of a node, which stays unique because `root` keeps all nodes alive.
    _values: dict[int, Value] = field(default_factory=dict)
    _entries: dict[int, Entries] = field(default_factory=dict)
    _repeated: int = 0

    def read(self, text: str) -> None:
        """Parse a text into `value`, and add what is wrong with it to `faults`."""
        try:
            self.root = compose(text)
            if self.root:
                self.value = self._build(self.root, (), ())
        except Fault as fault:
            self.faults.append(fault)

    def locate(self, path: Path) -> tuple[Path, int]:
        """Return the longest part of a path that exists, and its line, counted from 1."""
        known, line, _ = self._find_node(path)
        return known, line

    def get(self, path: Path) -> Value:
        """Return the value at a path; None if the path doesn't exist."""
        value = self.value
        for part in path:
            value = get_child(value, part)
        return value

    def add_fault(self, path: Path, message: str) -> None:
        """Add a fault at a path, or at its nearest existing parent."""
        self.faults.append(Fault(self.locate(path)[1], path, message))

    def convert_variable(self, path: Path) -> bool:
        """Replace a text from the environment by the number or boolean that it spells, and return whether it does."""
        known, _, node = self._find_node(path)
        if not known or not isinstance(node, yaml.ScalarNode) or not has_variable(node.value):
            return False
        value = parse_number_or_bool(self._values[id(node)])
        parent, last = self.get(known[:-1]), known[-1]
        if isinstance(parent, dict) and isinstance(last, str) and value is not None:
            parent[last] = value
        if isinstance(parent, list) and isinstance(last, int) and value is not None:
            parent[last] = value
        return value is not None

    def _find_node(self, path: Path) -> tuple[Path, int, yaml.Node | None]:
        node, line = self.root, _get_line_number(self.root) if self.root else 1
        for depth, part in enumerate(path):
            entries = self._entries.get(id(node), {})
            if isinstance(part, str) and part in entries:
                key, node = entries[part]
                line = _get_line_number(key)
            elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
                node = node.value[part]
                line = _get_line_number(node)
            else:
                return path[:depth], line, node
        return path, line, node

    def _build(self, node: yaml.Node, path: Path, ancestors: tuple[yaml.Node, ...]) -> Value:
        """Return the value of a node, which is None if a scalar or a tag adds a fault.

        Raises:
            Fault: the node contains itself, is nested too deeply, or is repeated too often, so it has no value.

        """
        if node in ancestors:
            raise Fault(_get_line_number(node), path, "contains itself")
        if len(path) > MAX_DEPTH:
            raise Fault(_get_line_number(node), path, f"is nested more than {MAX_DEPTH} levels deep")
        if id(node) in self._values:
            self._count_repeated(1 + (len(node.value) // 64 if isinstance(node, yaml.ScalarNode) else 0), node, path)
            if isinstance(node, yaml.ScalarNode):
                return self._values[id(node)]
        self._values[id(node)] = value = self._convert(node, path, (*ancestors, node))
        return value

    def _convert(self, node: yaml.Node, path: Path, ancestors: tuple[yaml.Node, ...]) -> Value:
        if isinstance(node, yaml.ScalarNode):
            try:
                return read_scalar(node, self.environ)
            except ValueError as error:
                self.faults.append(Fault(_get_line_number(node), path, str(error)))
                return None
        if node.tag != (LIST if isinstance(node, yaml.SequenceNode) else MAPPING):
            self.faults.append(Fault(_get_line_number(node), path, UNKNOWN_TAG))
            return None
        if isinstance(node, yaml.SequenceNode):
            return [self._build(item, (*path, index), ancestors) for index, item in enumerate(node.value)]
        entries = self._merge_entries(node, path) if isinstance(node, yaml.MappingNode) else {}
        return {key: self._build(item, (*path, key), ancestors) for key, (_, item) in entries.items()}

    def _merge_entries(self, node: yaml.MappingNode, path: Path, ancestors: tuple[yaml.Node, ...] = ()) -> Entries:
        """Return the entries of a mapping, preceded by those that `<<` merges into it."""
        if node in ancestors:
            raise Fault(_get_line_number(node), path, "contains itself")
        if id(node) not in self._entries:
            own: Entries = {}
            merged: Entries = {}
            for key, value in node.value:
                if self._check_key(key, own, path):
                    own[key.value] = (key, value)
            # In quotes, << is an ordinary key.
            if "<<" in own and own["<<"][0].tag == MERGE:
                source = own.pop("<<")[1]
                for mapping in source.value if isinstance(source, yaml.SequenceNode) else [source]:
                    if isinstance(mapping, yaml.MappingNode):
                        # If several merged mappings have a key, the first one wins, as YAML defines it.
                        merged = self._merge_entries(mapping, path, (*ancestors, node)) | merged
                        self._count_repeated(len(merged), mapping, path)
                    else:
                        message = "<< must be followed by an alias of a mapping"
                        self.faults.append(Fault(_get_line_number(source), path, message))
            self._entries[id(node)] = merged | own
        return self._entries[id(node)]

    def _count_repeated(self, count: int, node: yaml.Node, path: Path) -> None:
        self._repeated += count
        if self._repeated > MAX_REPEATED:
            raise Fault(_get_line_number(node), path, "is repeated by aliases too often; use fewer aliases")

    def _check_key(self, key: yaml.Node, entries: Entries, path: Path) -> bool:
        """Return whether a key is text and not among the entries; add a fault if it isn't valid."""
        line = _get_line_number(key)
        if not isinstance(key, yaml.ScalarNode) or not is_key(key):
            self.faults.append(Fault(line, path, "a key must be text; write it in quotes"))
        elif key.value in entries:
            first_line = _get_line_number(entries[key.value][0])
            self.faults.append(Fault(line, (*path, key.value), f"is a duplicate of the key on line {first_line}"))
        else:
            return True
        return False


def read_document(text: str, environ: Mapping[str, str]) -> Document:
    """Parse a YAML text, and substitute its variables."""
    document = Document(environ)
    document.read(text)
    return document


def get_child(value: Value, part: str | int) -> Value:
    """Return the entry of a mapping or a list; None if it doesn't exist."""
    if isinstance(value, dict) and isinstance(part, str):
        return value.get(part)
    if isinstance(value, list) and isinstance(part, int) and part < len(value):
        return value[part]
    return None


def _get_line_number(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1
