"""The table of declared volumes."""

from sqlalchemy import BigInteger, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from conductor.db.models import Base, Json, Name, Uuid

TARGET_CHARS = 64


class Volume(Base):
    """How one disk is reached, as an administrator declared it. It stays when the guest goes, as that may return."""

    __tablename__ = "volumes"

    instance: Mapped[str] = mapped_column(Uuid, ForeignKey("instances.uuid"), primary_key=True)
    target: Mapped[str] = mapped_column(String(TARGET_CHARS), primary_key=True)
    connection: Mapped[str] = mapped_column(Json)  # common.volumes.VolumeConnection
    set_at_ms: Mapped[int] = mapped_column(BigInteger)
    set_by: Mapped[str] = mapped_column(Name)
