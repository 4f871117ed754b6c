"""`limosa-compute-agent libvirt-setup`: make this host's libvirt take part in migrations, and take that back.

observe.py      what stands on this host now
plan.py         pure: which files and units have to change, from what was observed
changes.py      do it, with a backup of everything, and undo it
daemon_start.py whether libvirt was started again since
copies.py       whether the certificates are those of this host's membership
check.py        what is still missing
command.py      the command line, and what a person reads
"""
