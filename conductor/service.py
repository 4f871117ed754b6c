"""`limosa-conductor`: the process."""

import logging
import sys

from common import concurrency, tools
from conductor import management

LOG = logging.getLogger(__name__)


def main() -> int:
    """Run a conductor until it is told to stop; the process's exit code."""
    argv = sys.argv[1:]
    if tools.is_command(argv):
        return management.main(argv)
    concurrency.setup(concurrency.configured_backend(argv))
    # Only now: eventlet must have patched the standard library before any of these uses it.
    from common import config, credentials, log, service
    from common.errors import LimosaError
    from conductor.app import Conductor

    log.setup("INFO")
    try:
        conf = config.load(argv, service="conductor")
        log.setup(conf.log_level)
        conductor = Conductor(conf, credentials.of_conductor(conf))
    except LimosaError as error:
        LOG.error("cannot start: %s %s", error, error.advice)
        return error.exit_code
    return service.run(conductor.start, conductor.stop)


if __name__ == "__main__":
    sys.exit(main())
