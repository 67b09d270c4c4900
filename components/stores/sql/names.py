"""Names of tables and columns in SQL: quoted, so that any name is only a name."""

import re

_PART = re.compile(r'\s*(?:"((?:[^"]|"")+)"|([^."]+))\s*(\.|$)')


def quote_name(name: str) -> str:
    """Quote the name of a column, table or index.

    >>> print(quote_name('odd "name'))
    "odd ""name"
    """
    return '"' + name.replace('"', '""') + '"'


def split_table(name: str) -> tuple[str | None, str]:
    """Split ``schema.table``; a part with a dot in it is written in double quotes.

    >>> split_table("shop.orders"), split_table('"odd.name"')
    (('shop', 'orders'), (None, 'odd.name'))
    """
    parts, place = [], 0
    while place < len(name):
        found = _PART.match(name, place)
        if found is None:
            return None, name
        parts.append((found[1] or "").replace('""', '"') or str(found[2]).strip())
        place = found.end()
    if len(parts) == 1:
        return None, parts[0]
    return ".".join(parts[:-1]) or None, parts[-1] if parts else name


def quote_table(name: str) -> str:
    """Quote ``schema.table`` for SQL.

    >>> print(quote_table("shop.orders"))
    "shop"."orders"
    """
    schema, table = split_table(name)
    return quote_name(table) if schema is None else f"{quote_name(schema)}.{quote_name(table)}"
