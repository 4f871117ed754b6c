"""`limosa-compute-agent`: the process."""

import logging
import sys

from common import concurrency, tools
from compute_agent import management

LOG = logging.getLogger(__name__)


def main() -> int:
    """Run a compute agent until it is told to stop; the process's exit code."""
    argv = sys.argv[1:]
    if tools.is_command(argv):
        return management.main(argv)
    concurrency.setup(concurrency.configured_backend(argv))
    # Only now: eventlet must have patched the standard library before any of these uses it.
    from common import config, credentials, log, service
    from common.errors import LimosaError
    from common.rpc import Bus
    from compute_agent.app import Agent
    from compute_agent.hypervisor.host_files import HostFiles
    from compute_agent.hypervisor.libvirt_hypervisor import LibvirtHypervisor
    from compute_agent.ledger import claim_host
    from compute_agent.settings import Settings

    log.setup("INFO")
    try:
        conf = config.load(argv, service="agent")
        log.setup(conf.log_level, host=conf.host)
        claim = claim_host(conf.host)
        settings = Settings.read(conf)
        files = HostFiles(qemu_conf=settings.qemu_conf, instances_path=settings.instances_path)
        hypervisor = LibvirtHypervisor(
            conf.libvirt.connection_uri, timeout_s=conf.agent.libvirt_timeout_s, files=files
        )
        bus = Bus(conf, identity=credentials.of_host(conf), keyring=credentials.conductors_key(conf))
        agent = Agent(settings, bus, hypervisor)
    except LimosaError as error:
        LOG.error("cannot start: %s %s", error, error.advice)
        return error.exit_code
    with claim:
        return service.run(agent.start, agent.stop)


if __name__ == "__main__":
    sys.exit(main())
