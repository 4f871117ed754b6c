"""The tables of those who come and go: join codes, and users of the broker that are to be removed."""

from sqlalchemy import BigInteger, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from conductor.db.models import Base, Json, Name

BROKER_NAME_CHARS = 300  # a host's or an administrator's name, and what makes a name at the broker of it


class JoinCode(Base):
    """One host's code, the last that was made for it. What proves it is kept, and nothing with which to join."""

    __tablename__ = "join_codes"

    host: Mapped[str] = mapped_column(Name, primary_key=True)
    public_key: Mapped[str] = mapped_column(Text)  # PEM, of the key that the code's secret stands for
    names: Mapped[str] = mapped_column(Json)  # tuple[str, ...]: further ones that the certificate is to have
    created_at_ms: Mapped[int] = mapped_column(BigInteger)
    expires_at_ms: Mapped[int] = mapped_column(BigInteger)
    used_at_ms: Mapped[int | None] = mapped_column(BigInteger)
    used_by: Mapped[str | None] = mapped_column(Text)  # PEM: the key that it was used for, and for no other


class Farewell(Base):
    """A user of the broker that is to go, when its last answer has reached it. Gone when RabbitMQ says so."""

    __tablename__ = "broker_farewells"

    broker_user: Mapped[str] = mapped_column(String(BROKER_NAME_CHARS), primary_key=True)
    queue: Mapped[str | None] = mapped_column(String(BROKER_NAME_CHARS))  # that goes with it
    due_at_ms: Mapped[int] = mapped_column(BigInteger)
