"""The tables. What a row means stands here; who may change it, in `conductor.driver` and `conductor.inventory`.

Times are the database's own clock in milliseconds since 1970 (`now_ms`): conductors never compare their clocks.
Columns of type Json hold a dataclass as `common.wire` writes it.
"""

from sqlalchemy import BigInteger, Float, ForeignKey, Index, Integer, String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from common.states import AuditResult, MigrationStatus, Phase, PowerState, Role, TaskState
from conductor.db.types import Word

NAME_MAX_CHARS = 255
UUID_CHARS = 36

Name = String(NAME_MAX_CHARS)
Uuid = String(UUID_CHARS)
Json = Text
# SQLite counts rows up by itself only in a column of type INTEGER.
Serial = BigInteger().with_variant(Integer(), "sqlite")


class Base(DeclarativeBase):
    """All tables of the conductor."""


class Host(Base):
    """One compute agent and the host that it speaks for."""

    __tablename__ = "hosts"

    name: Mapped[str] = mapped_column(Name, primary_key=True)
    start_id: Mapped[str] = mapped_column(Name)  # of the agent's process that was heard last
    heartbeat_sequence: Mapped[int] = mapped_column(BigInteger)
    heard_at_ms: Mapped[int] = mapped_column(BigInteger)
    hypervisor_age_s: Mapped[float | None] = mapped_column(Float)
    version: Mapped[str] = mapped_column(Name)
    # Reports: the process that made the last one, and the process before it, whose late reports are dropped.
    report_start_id: Mapped[str | None] = mapped_column(Name)
    report_sequence: Mapped[int] = mapped_column(BigInteger)
    past_start_id: Mapped[str | None] = mapped_column(Name)
    facts: Mapped[str | None] = mapped_column(Json)  # common.facts.HostFacts
    disabled_reason: Mapped[str | None] = mapped_column(Text)  # by an administrator; NULL: enabled
    vtep_address: Mapped[str | None] = mapped_column(
        Name
    )  # of its facts: every host asks for those of all others


class Conductor(Base):
    """One conductor and when it was last heard."""

    __tablename__ = "conductors"

    name: Mapped[str] = mapped_column(Name, primary_key=True)
    heard_at_ms: Mapped[int] = mapped_column(BigInteger)


class Instance(Base):
    """A guest that was ever seen. The row stays when the guest goes: its epoch is never reset (rule 1).

    `host` is where it runs as far as is committed; while `migration` is open only that migration changes it.
    """

    __tablename__ = "instances"
    __table_args__ = (Index("instances_by_name", "name"), Index("instances_by_host", "host"))

    uuid: Mapped[str] = mapped_column(Uuid, primary_key=True)
    name: Mapped[str] = mapped_column(Name)  # libvirt's, unique only within a host
    host: Mapped[str] = mapped_column(Name)
    is_present: Mapped[bool]  # False: undefined everywhere; not shown, kept for the epoch
    power_state: Mapped[PowerState] = mapped_column(Word(PowerState))
    memory_mib: Mapped[int] = mapped_column(Integer)
    vcpus: Mapped[int] = mapped_column(Integer)
    task_state: Mapped[TaskState | None] = mapped_column(Word(TaskState))
    migration: Mapped[str | None] = mapped_column(Uuid)  # the open one, which has set task_state
    epoch: Mapped[int] = mapped_column(BigInteger)
    facts: Mapped[str] = mapped_column(Json)  # common.facts.GuestFacts
    updated_at_ms: Mapped[int] = mapped_column(BigInteger)


class Sighting(Base):
    """A host reports a guest. Two rows for one guest with no migration open are a conflict."""

    __tablename__ = "sightings"
    __table_args__ = (Index("sightings_by_host", "host"),)

    instance: Mapped[str] = mapped_column(Uuid, primary_key=True)
    host: Mapped[str] = mapped_column(Name, primary_key=True)
    power_state: Mapped[PowerState] = mapped_column(Word(PowerState))
    memory_mib: Mapped[int] = mapped_column(Integer)
    facts: Mapped[str] = mapped_column(Json)  # common.facts.GuestFacts


class Migration(Base):
    """One migration. `saga` decides what comes next; the other columns are copies of it, to be searched."""

    __tablename__ = "migrations"
    __table_args__ = (
        Index("migrations_by_phase", "phase"),
        Index("migrations_by_instance", "instance", "created_at_ms"),
        Index("migrations_by_age", "created_at_ms"),
        Index("migrations_by_request", "request_id", unique=True),
    )

    id: Mapped[str] = mapped_column(Uuid, primary_key=True)
    instance: Mapped[str] = mapped_column(Uuid, ForeignKey("instances.uuid"))
    version: Mapped[int] = mapped_column(BigInteger)  # grows with every change; compared and swapped (rule 2)
    phase: Mapped[Phase] = mapped_column(Word(Phase))
    status: Mapped[MigrationStatus] = mapped_column(Word(MigrationStatus))
    epoch: Mapped[int] = mapped_column(BigInteger)
    source: Mapped[str] = mapped_column(Name)
    dest: Mapped[str] = mapped_column(Name)
    requested_dest: Mapped[str | None] = mapped_column(Name)
    request_id: Mapped[str | None] = mapped_column(Name)  # a digest of the request that began it
    saga: Mapped[str] = mapped_column(Json)  # conductor.saga.Saga
    created_at_ms: Mapped[int] = mapped_column(BigInteger)
    updated_at_ms: Mapped[int] = mapped_column(BigInteger)
    epoch_at_ms: Mapped[int] = mapped_column(BigInteger)  # since when the current command is current
    finished_at_ms: Mapped[int | None] = mapped_column(BigInteger)


class Journal(Base):
    """The story of a migration: only ever added to, in the transaction that changes its row.

    phase, epoch and host are those of the command that is current after the change (host: whom it is for; of the
    last line: who answered last). seconds_on_host is the answered command's own duration there.
    """

    __tablename__ = "journal"
    __table_args__ = (Index("journal_by_migration", "migration", "id"),)

    id: Mapped[int] = mapped_column(Serial, primary_key=True, autoincrement=True)
    migration: Mapped[str] = mapped_column(Uuid, ForeignKey("migrations.id"))
    at_ms: Mapped[int] = mapped_column(BigInteger)
    phase: Mapped[Phase] = mapped_column(Word(Phase))
    status: Mapped[MigrationStatus] = mapped_column(Word(MigrationStatus))
    epoch: Mapped[int] = mapped_column(BigInteger)
    host: Mapped[str] = mapped_column(Name)
    seconds_on_host: Mapped[float | None] = mapped_column(Float)
    sentence: Mapped[str] = mapped_column(Text)


class ProgressRow(Base):
    """The last that a source told of its job; advisory, apart from the saga's row and its version."""

    __tablename__ = "progress"

    migration: Mapped[str] = mapped_column(Uuid, ForeignKey("migrations.id"), primary_key=True)
    epoch: Mapped[int] = mapped_column(BigInteger)
    sequence: Mapped[int] = mapped_column(BigInteger)
    heard_at_ms: Mapped[int] = mapped_column(BigInteger)
    progress: Mapped[str] = mapped_column(Json)  # common.migration.Progress


class Claim(Base):
    """What an open migration needs on a host, source and dest: both hold it until the last command is answered (23)."""

    __tablename__ = "claims"
    __table_args__ = (Index("claims_by_host", "host"),)

    migration: Mapped[str] = mapped_column(Uuid, ForeignKey("migrations.id"), primary_key=True)
    host: Mapped[str] = mapped_column(Name, primary_key=True)
    instance: Mapped[str] = mapped_column(Uuid)
    memory_mib: Mapped[int] = mapped_column(Integer)
    vcpus: Mapped[int] = mapped_column(Integer)
    disk_mib: Mapped[int] = mapped_column(
        BigInteger, default=0, server_default="0"
    )  # of disks that are copied there


class HostKey(Base):
    """A host that may speak to the conductors, and the key by which it is known."""

    __tablename__ = "host_keys"

    host: Mapped[str] = mapped_column(Name, primary_key=True)
    public_key: Mapped[str] = mapped_column(Text)  # PEM
    added_at_ms: Mapped[int] = mapped_column(BigInteger)
    names: Mapped[str | None] = mapped_column(Json)  # tuple[str, ...]: further ones of its certificate


class Administrator(Base):
    """Somebody who may ask the conductors for something. A row stays when its key is revoked: the audit names it."""

    __tablename__ = "administrators"

    name: Mapped[str] = mapped_column(Name, primary_key=True)
    role: Mapped[Role] = mapped_column(Word(Role))
    public_key: Mapped[str] = mapped_column(Text)  # PEM
    created_at_ms: Mapped[int] = mapped_column(BigInteger)
    created_by: Mapped[str] = mapped_column(Name)
    expires_at_ms: Mapped[int | None] = mapped_column(BigInteger)
    revoked_at_ms: Mapped[int | None] = mapped_column(BigInteger)


class Request(Base):
    """A request that changes something, written before it is carried out, and then its first answer.

    A repeated one gets that answer, and changes nothing.
    """

    __tablename__ = "requests"
    __table_args__ = (Index("requests_by_age", "at_ms"),)

    id: Mapped[str] = mapped_column(Name, primary_key=True)
    signer: Mapped[str] = mapped_column(Name)
    digest: Mapped[str] = mapped_column(String(64))  # of method and arguments
    answer: Mapped[str | None] = mapped_column(Text)  # JSON, as it was sent; NULL: it is being carried out
    at_ms: Mapped[int] = mapped_column(BigInteger)


class Audit(Base):
    """Who asked for what, and what became of it: all that changes something, and all that is refused."""

    __tablename__ = "audit"

    id: Mapped[int] = mapped_column(Serial, primary_key=True, autoincrement=True)
    at_ms: Mapped[int] = mapped_column(BigInteger)
    signer: Mapped[str] = mapped_column(Name)  # as claimed where the result says that it was not proven
    method: Mapped[str] = mapped_column(Name)
    target: Mapped[str] = mapped_column(Text)  # what it was about: instance, migration, host
    result: Mapped[AuditResult] = mapped_column(Word(AuditResult))
    detail: Mapped[str] = mapped_column(Text)
    request_id: Mapped[str] = mapped_column(Name)
