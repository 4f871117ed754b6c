"""Findings about what would be lost by moving a guest, and who else works on it: made on its source."""

from common.checks import Check, Severity

MANAGED_SAVE_EXISTS = Check(
    code="managed_save_exists",
    sentence="{instance} has a managed-save image on {host} although it runs: it would stay behind, and be restored over "
    "newer disks when the guest is started there one day.",
    hint="The guest has gone on since, so the image is worthless: `virsh managedsave-remove {instance}` on {host}.",
    meaning="libvirt keeps saved memory of the guest for its next start; a migration neither moves nor removes it.",
)
SNAPSHOTS_EXIST = Check(
    code="snapshots_exist",
    sentence="{instance} has snapshots ({snapshots}): libvirt does not migrate a guest that has any.",
    hint="Delete them, or only libvirt's record of them: `virsh snapshot-dumpxml` keeps it, `virsh snapshot-delete "
    "{instance} SNAPSHOT --metadata` removes it, `virsh snapshot-create --redefine` brings it back on the dest.",
    meaning="libvirt refuses to migrate a guest of which it records snapshots.",
)
CHECKPOINTS_LOST = Check(
    code="checkpoints_lost",
    sentence="{instance} has checkpoints ({checkpoints}): libvirt does not take its record of them along, and the next "
    "incremental backup will not find them.",
    hint="Keep them with `virsh checkpoint-dumpxml {instance} CHECKPOINT` before, and bring them back on the dest with "
    "`virsh checkpoint-create {instance} FILE --redefine`; or make a full backup there.",
    severity=Severity.WARNS,
    meaning="The bitmaps stay in the images, libvirt's record of the checkpoints is lost.",
)
BLOCK_JOB_RUNS = Check(
    code="block_job_runs",
    sentence="A block job ({kind}) works on disk {disk} of {instance}: libvirt does not migrate it meanwhile.",
    hint="Wait for it, or end it: `virsh blockjob {instance} {disk} --info` and `--abort` on {host}.",
    meaning="A disk of the guest is being copied, committed or pulled.",
)
BACKUP_RUNS = Check(
    code="backup_runs",
    sentence="{instance} is being backed up on {host}.",
    hint="Wait for it, or end it: `virsh domjobinfo {instance}`, `virsh domjobabort {instance}`.",
    meaning="A backup job of libvirt runs; a migration would wait for it in vain.",
)
DUMP_RUNS = Check(
    code="dump_runs",
    sentence="{instance}'s memory is being dumped on {host}.",
    hint="Wait for it, or end it: `virsh domjobinfo {instance}`, `virsh domjobabort {instance}`.",
    meaning="Somebody dumps the guest's memory to a file.",
)
SAVE_RUNS = Check(
    code="save_runs",
    sentence="{instance} is being saved on {host}, and will be off then.",
    hint="Wait for it; a guest that was saved is moved with its image. `virsh domjobabort {instance}` keeps it running.",
    meaning="Somebody saves the guest to a file, which ends it.",
)
MIGRATED_BY_OTHERS = Check(
    code="migrated_by_others",
    sentence="Somebody else migrates {instance} already: libvirt on {host} has an {operation} of it.",
    hint="`virsh domjobinfo {instance}` on {host} follows it. Limosa sees where the guest is when it has ended.",
    meaning="A migration is under way that this Limosa did not begin, as by `virsh migrate`.",
)
JOB_RUNS = Check(
    code="job_runs",
    sentence="libvirt on {host} works on {instance} ({operation}).",
    hint="Wait for it: `virsh domjobinfo {instance}` on {host}.",
    meaning="Another long job of libvirt, or a call that has not ended, keeps the guest busy.",
)
