"""What the tables need beyond SQLAlchemy's own types: words that travel, and the database's clock."""

from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, Dialect, String, TypeDecorator
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

WORD_MAX_CHARS = 64


class Word(TypeDecorator[StrEnum]):
    """A StrEnum as its text: readable with any client, and a new member needs no change of the schema."""

    impl = String(WORD_MAX_CHARS)
    cache_ok = True

    def __init__(self, kind: type[StrEnum]) -> None:
        self.kind = kind
        super().__init__()

    def process_bind_param(self, value: StrEnum | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        return None if value is None else str(value)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> StrEnum | None:  # noqa: ARG002
        return None if value is None else self.kind(value)


class now_ms(FunctionElement[int]):  # noqa: N801 (a function in SQL)
    """The database's clock: milliseconds since 1970, in UTC."""

    type = BigInteger()
    inherit_cache = True


@compiles(now_ms, "sqlite")
def _sqlite(_element: now_ms, _compiler: SQLCompiler, **_kwargs: Any) -> str:
    # julianday's doubles resolve 0.04 ms; unixepoch('subsec') came only with SQLite 3.42, after Debian 12's.
    return "CAST(ROUND((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER)"


@compiles(now_ms, "postgresql")
def _postgresql(_element: now_ms, _compiler: SQLCompiler, **_kwargs: Any) -> str:
    return "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)"


@compiles(now_ms, "mysql")
@compiles(now_ms, "mariadb")
def _mysql(_element: now_ms, _compiler: SQLCompiler, **_kwargs: Any) -> str:
    return "CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED)"
