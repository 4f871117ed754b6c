"""The tables of managed networks: what is declared, and the hosts where it is to stand in any case."""

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, Text
from sqlalchemy.orm import Mapped, mapped_column

from common.network_views import NetworkKind
from conductor.db.models import Base, Name
from conductor.db.types import Word


class Network(Base):
    """A network that agents make on the hosts that need it. A row goes only when no guest is in it."""

    __tablename__ = "networks"
    __table_args__ = (
        Index("networks_by_bridge", "bridge", unique=True),
        Index("networks_by_segment", "kind", "physical", "segment", unique=True),
    )

    name: Mapped[str] = mapped_column(Name, primary_key=True)
    kind: Mapped[NetworkKind] = mapped_column(Word(NetworkKind))
    segment: Mapped[int] = mapped_column(Integer)  # VLAN id or VNI
    bridge: Mapped[str] = mapped_column(Name)
    mtu: Mapped[int] = mapped_column(Integer)
    physical: Mapped[str] = mapped_column(Name)  # empty: a VXLAN; not NULL, which would never be a duplicate
    multicast_group: Mapped[str | None] = mapped_column(Name)
    port: Mapped[int | None] = mapped_column(Integer)
    peers: Mapped[str] = mapped_column(Text)  # addresses, with blanks between
    created_at_ms: Mapped[int] = mapped_column(BigInteger)
    created_by: Mapped[str] = mapped_column(Name)


class NetworkAttachment(Base):
    """An administrator wants the network on this host, whether a guest needs it or not."""

    __tablename__ = "network_attachments"

    network: Mapped[str] = mapped_column(Name, ForeignKey("networks.name"), primary_key=True)
    host: Mapped[str] = mapped_column(Name, primary_key=True)
