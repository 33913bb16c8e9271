"""A YAML text as plain values, with the line of each. Only what JSON has comes out of it.

PyYAML composes the nodes, which know their place; the values are built here, since its own construction forgets the
places, lets a key be there twice, and follows aliases without an end.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import yaml

from vigilbase.spec.scalars import LIST, MAPPING, MERGE, UNKNOWN_TAG, is_key, number_or_truth, scalar
from vigilbase.spec.substitution import has_variable
from vigilbase.spec.syntax import Fault, Path, compose

Value: TypeAlias = "str | int | float | bool | list[Value] | dict[str, Value] | None"

MAX_DEPTH = 50
MAX_REPEATED = 250_000
"""So many nodes, or stretches of 64 characters, may aliases repeat."""

Entries: TypeAlias = dict[str, tuple[yaml.Node, yaml.Node]]


@dataclass(slots=True)
class Document:
    """What a text says (`value`), what is wrong with it (`faults`), and in which line things are."""

    environ: Mapping[str, str]
    root: yaml.Node | None = None
    value: Value = None
    faults: list[Fault] = field(default_factory=list)
    _built: dict[int, Value] = field(default_factory=dict)
    _merged: dict[int, Entries] = field(default_factory=dict)
    _repeated: int = 0

    def read(self, text: str) -> None:
        """Fill in what a YAML text says."""
        try:
            self.root = compose(text)
            if self.root:
                self.value = self._build(self.root, (), ())
        except Fault as fault:
            self.faults.append(fault)

    def locate(self, path: Path) -> tuple[Path, int]:
        """As much of a path as is in the text, and its line, counted from 1."""
        known, line, _ = self._find(path)
        return known, line

    def at(self, path: Path) -> Value:
        """The value at a path; None if there is none."""
        value = self.value
        for part in path:
            value = child(value, part)
        return value

    def note(self, path: Path, said: str) -> None:
        """Note what is wrong at a path, or with what should be there."""
        self.faults.append(Fault(self.locate(path)[1], path, said))

    def reread(self, path: Path) -> bool:
        """Let a value that comes from the environment be the number or the truth value that it spells.

        False if it spells none, or doesn't come from there.
        """
        known, _, node = self._find(path)
        if not known or not isinstance(node, yaml.ScalarNode) or not has_variable(node.value):
            return False
        spelled = number_or_truth(self._built[id(node)])
        holder, last = self.at(known[:-1]), known[-1]
        if isinstance(holder, dict) and isinstance(last, str) and spelled is not None:
            holder[last] = spelled
        if isinstance(holder, list) and isinstance(last, int) and spelled is not None:
            holder[last] = spelled
        return spelled is not None

    def _find(self, path: Path) -> tuple[Path, int, yaml.Node | None]:
        node, line = self.root, _line(self.root) if self.root else 1
        for depth, part in enumerate(path):
            entries = self._merged.get(id(node), {})
            if isinstance(part, str) and part in entries:
                key, node = entries[part]
                line = _line(key)
            elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
                node = node.value[part]
                line = _line(node)
            else:
                return path[:depth], line, node
        return path, line, node

    def _build(self, node: yaml.Node, path: Path, within: tuple[yaml.Node, ...]) -> Value:
        """The value of a node. What is wrong with a scalar or a key is noted, with the rest no value is possible."""
        if node in within:
            raise Fault(_line(node), path, "contains itself")
        if len(path) > MAX_DEPTH:
            raise Fault(_line(node), path, f"is nested more than {MAX_DEPTH} levels deep")
        if id(node) in self._built:
            self._count(1 + (len(node.value) // 64 if isinstance(node, yaml.ScalarNode) else 0), node, path)
            if isinstance(node, yaml.ScalarNode):
                return self._built[id(node)]
        self._built[id(node)] = value = self._new(node, path, (*within, node))
        return value

    def _new(self, node: yaml.Node, path: Path, within: tuple[yaml.Node, ...]) -> Value:
        if isinstance(node, yaml.ScalarNode):
            try:
                return scalar(node, self.environ)
            except ValueError as error:
                self.faults.append(Fault(_line(node), path, str(error)))
                return None
        if node.tag != (LIST if isinstance(node, yaml.SequenceNode) else MAPPING):
            self.faults.append(Fault(_line(node), path, UNKNOWN_TAG))
            return None
        if isinstance(node, yaml.SequenceNode):
            return [self._build(item, (*path, index), within) for index, item in enumerate(node.value)]
        entries = self._entries(node, path) if isinstance(node, yaml.MappingNode) else {}
        return {key: self._build(item, (*path, key), within) for key, (_, item) in entries.items()}

    def _entries(self, node: yaml.MappingNode, path: Path, within: tuple[yaml.Node, ...] = ()) -> Entries:
        """The entries of a mapping, after those that `<<` brings in."""
        if node in within:
            raise Fault(_line(node), path, "contains itself")
        if id(node) not in self._merged:
            own: Entries = {}
            merged: Entries = {}
            for key, value in node.value:
                if self._is_new_key(key, own, path):
                    own[key.value] = (key, value)
            if "<<" in own and own["<<"][0].tag == MERGE:
                source = own.pop("<<")[1]
                for mapping in source.value if isinstance(source, yaml.SequenceNode) else [source]:
                    if isinstance(mapping, yaml.MappingNode):
                        merged = self._entries(mapping, path, (*within, node)) | merged
                        self._count(len(merged), mapping, path)
                    else:
                        self.faults.append(Fault(_line(source), path, "<< must be followed by an alias of a mapping"))
            self._merged[id(node)] = merged | own
        return self._merged[id(node)]

    def _count(self, repeated: int, node: yaml.Node, path: Path) -> None:
        self._repeated += repeated
        if self._repeated > MAX_REPEATED:
            raise Fault(_line(node), path, "is repeated by aliases too often")

    def _is_new_key(self, key: yaml.Node, seen: Entries, path: Path) -> bool:
        """Is it a text that the mapping doesn't have yet? If not, that is noted."""
        if not isinstance(key, yaml.ScalarNode) or not is_key(key):
            self.faults.append(Fault(_line(key), path, "a key must be text; write it in quotes"))
        elif key.value in seen:
            first = _line(seen[key.value][0])
            self.faults.append(Fault(_line(key), (*path, key.value), f"is there twice, first in line {first}"))
        else:
            return True
        return False


def read_document(text: str, environ: Mapping[str, str]) -> Document:
    """What a YAML text says, with the environment's values in it."""
    document = Document(environ)
    document.read(text)
    return document


def child(value: Value, part: str | int) -> Value:
    """A part of a value; None if there is no such part."""
    if isinstance(value, dict) and isinstance(part, str):
        return value.get(part)
    if isinstance(value, list) and isinstance(part, int) and part < len(value):
        return value[part]
    return None


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1
