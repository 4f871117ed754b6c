#!/bin/sh
# Set everything up and live-migrate a real guest between two hosts, on this machine alone: ./quickstart.sh --help
set -eu
cd "$(dirname "$0")"

case " $* " in
    *" -h "* | *" --help "*) exec /usr/bin/python3 -m lab.quickstart --help ;;
esac
lab/bootstrap.sh
exec /usr/bin/python3 -m lab.quickstart "$@"
