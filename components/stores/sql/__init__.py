"""The user's own databases: queries are streamed in, predictions are upserted."""

from components.stores.sql.connecting import Address, hide_password, parse_address
from components.stores.sql.querying import Asked, Since, columns_of, read_query
from components.stores.sql.upserting import upsert

__all__ = [
    "Address",
    "Asked",
    "Since",
    "columns_of",
    "hide_password",
    "parse_address",
    "read_query",
    "upsert",
]
