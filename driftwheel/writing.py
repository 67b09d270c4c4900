"""A pipeline file as text: every value with the reason for it beside."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

import yaml

_PLAIN = re.compile(r"^[A-Za-z_][A-Za-z0-9_]*$")
_LONGEST_REMARK = 160
_LONGEST_ALIGNED = 68
_WIDE = 10**9
_LITERAL = re.compile(r"^[\x20-\x7e]*[\x21-\x7e]$")


@dataclass(slots=True)
class Page:
    """The lines of a pipeline file, each with the remark that stands behind it.

    Remarks of neighbouring lines stand below each other.
    """

    lines: list[tuple[str, str]] = field(default_factory=list)

    def say(self, *words: str) -> None:
        """Add lines of comment."""
        self.lines += [(f"# {_clean(line)}" if line else "#", "") for line in words]

    def gap(self) -> None:
        """Leave a line empty."""
        if self.lines and self.lines[-1][0]:
            self.lines.append(("", ""))

    def put(self, key: str, value: Any, remark: str = "") -> None:
        """Add ``key: value  # remark``."""
        self.lines.append((f"{key}: {written(value)}", _clean(remark)))

    def rows(self, key: str, rows: Mapping[str, tuple[Any, str]]) -> None:
        """Add a mapping, a line for each of its keys, with remarks."""
        self.lines.append((f"{key}:", ""))
        for name, (value, remark) in rows.items():
            first, *rest = _indented(value).split("\n")
            self.lines.append((f"  {written_key(name)}: {first}", _clean(remark)))
            self.lines += [(line, "") for line in rest]

    def items(self, key: str, items: Sequence[tuple[Any, str]]) -> None:
        """Add a list, a line for each item, with remarks."""
        self.lines.append((f"{key}:", ""))
        self.lines += [(f"  - {written(value)}", _clean(remark)) for value, remark in items]

    @property
    def text(self) -> str:
        """The whole file."""
        made, group = list[str](), list[tuple[str, str]]()
        for line in [*self.lines, ("", "")]:
            if line[1]:
                group.append(line)
                continue
            made += _aligned(group)
            made.append(line[0])
            group = []
        return "\n".join(made).rstrip("\n") + "\n"


def _aligned(group: Sequence[tuple[str, str]]) -> list[str]:
    """Put the remarks of neighbouring lines below each other; a long line pushes no other."""
    short = [len(row) for row, _ in group if len(row) <= _LONGEST_ALIGNED]
    width = max(short, default=0)
    return [f"{row.ljust(width)}  # {remark}" for row, remark in group]


def written(value: Any) -> str:
    """Write one value in one line of YAML.

    >>> written("yes"), written(["a", 1.5, None]), written({"kind": "number", "min": 0.0})
    ("'yes'", '[a, 1.5, null]', '{kind: number, min: 0}')
    """
    if isinstance(value, (date, datetime)):
        return value.isoformat()
    text = yaml.safe_dump(
        _plain(value), default_flow_style=True, width=_WIDE, allow_unicode=True, sort_keys=False
    )
    return text.removesuffix("...\n").strip() if "\n" not in text.strip("\n.") else _quoted(value)


def written_key(name: str) -> str:
    """Write the name of a column as a key: plain where YAML leaves it text.

    >>> written_key("hour"), written_key("yes"), written_key("a: b")
    ('hour', '"yes"', '"a: b"')
    """
    if _PLAIN.match(name) and yaml.safe_load(name) == name:
        return name
    return _quoted(name)


def _quoted(value: Any) -> str:
    text: str = yaml.safe_dump(value, default_style='"', width=_WIDE, allow_unicode=True)
    return text.strip()


def _indented(value: Any) -> str:
    """Write a value; text of several lines, such as a query, as it stands where that is safe."""
    if not isinstance(value, str) or "\n" not in value:
        return written(value)
    lines = value.split("\n")
    if not all(_LITERAL.match(line) for line in lines) or lines[0].startswith(" "):
        return _quoted(value)
    return "\n".join(["|-", *(f"    {line}" for line in lines)])


def _plain(value: Any) -> Any:
    """Write whole numbers without a point."""
    if isinstance(value, float) and value == int(value) and abs(value) < 1e15:  # noqa: PLR2004 - exact so far
        return int(value)
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    return value


def _clean(words: str) -> str:
    """Make one printable line of what data may have brought along."""
    line = "".join(c if c.isprintable() else " " for c in words)
    return line if len(line) <= _LONGEST_REMARK else f"{line[: _LONGEST_REMARK - 1]}…"
