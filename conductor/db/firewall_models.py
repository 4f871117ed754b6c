"""The tables of the firewall: groups and their rules, and what is declared of the interfaces of guests.

All that changes them is done one after the other: it locks the one row of FilteringClock first (`db.filtering.tick`).
"""

from sqlalchemy import BigInteger, ForeignKey, ForeignKeyConstraint, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from common.states import Direction
from conductor.db.models import Base, Json, Name, Serial, Uuid
from conductor.db.types import Word

MAC_CHARS = 17
CIDR_MAX_CHARS = 64
PROTOCOL_MAX_CHARS = 16
CLOCK_ID = 1


class SecurityGroup(Base):
    """A group of interfaces, and of the rules that are theirs."""

    __tablename__ = "security_groups"

    name: Mapped[str] = mapped_column(Name, primary_key=True)
    description: Mapped[str] = mapped_column(Text)
    created_at_ms: Mapped[int] = mapped_column(BigInteger)
    created_by: Mapped[str] = mapped_column(Name)
    request_id: Mapped[str] = mapped_column(Name)  # that has made it: repeated, it finds it


class SecurityGroupRule(Base):
    """One rule: `conductor.filtering.GroupRule`."""

    __tablename__ = "security_group_rules"
    __table_args__ = (
        Index("rules_by_group", "security_group"),
        Index("rules_by_remote_group", "remote_group"),
    )

    id: Mapped[int] = mapped_column(Serial, primary_key=True, autoincrement=True)
    security_group: Mapped[str] = mapped_column(Name, ForeignKey("security_groups.name"))
    direction: Mapped[Direction] = mapped_column(Word(Direction))
    family: Mapped[int] = mapped_column(Integer)
    protocol: Mapped[str] = mapped_column(String(PROTOCOL_MAX_CHARS))
    port_min: Mapped[int | None] = mapped_column(Integer)
    port_max: Mapped[int | None] = mapped_column(Integer)
    remote: Mapped[str | None] = mapped_column(String(CIDR_MAX_CHARS))
    remote_group: Mapped[str | None] = mapped_column(Name, ForeignKey("security_groups.name"))
    request_id: Mapped[str] = mapped_column(Name)


class Port(Base):
    """One interface of a guest of which something is declared. It stays when the guest goes, for the guest may return."""

    __tablename__ = "ports"

    instance: Mapped[str] = mapped_column(Uuid, ForeignKey("instances.uuid"), primary_key=True)
    mac: Mapped[str] = mapped_column(String(MAC_CHARS), primary_key=True)  # in lower case
    addresses: Mapped[str] = mapped_column(Json)  # tuple[str, ...]


class PortGroup(Base):
    """An interface is in a group."""

    __tablename__ = "port_groups"
    __table_args__ = (
        ForeignKeyConstraint(["instance", "mac"], ["ports.instance", "ports.mac"]),
        Index("port_groups_by_group", "security_group"),
    )

    instance: Mapped[str] = mapped_column(Uuid, primary_key=True)
    mac: Mapped[str] = mapped_column(String(MAC_CHARS), primary_key=True)
    security_group: Mapped[str] = mapped_column(Name, ForeignKey("security_groups.name"), primary_key=True)


class GuestFilteringRow(Base):
    """A guest that is filtered, or was: its row stays, so that its hosts are told that it is not any more."""

    __tablename__ = "filterings"

    instance: Mapped[str] = mapped_column(Uuid, ForeignKey("instances.uuid"), primary_key=True)
    revision: Mapped[int] = mapped_column(BigInteger)  # of the last change that concerns it


class FilteringClock(Base):
    """One row: the newest revision of all."""

    __tablename__ = "filtering_clock"

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    revision: Mapped[int] = mapped_column(BigInteger)
