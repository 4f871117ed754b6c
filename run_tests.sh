#!/usr/bin/env bash
# Set everything up and run all tests. Usage: ./run_tests.sh [--vm] [lint|unit|contract|crash|rpc|lab|packages ...]
# With --vm: the tests on whole machines, which no other suite is part of (lab/README.md).
# packages builds the Debian packages and installs them in a tree; it runs when it is named.
#
# Everything a run makes is gone when it ends, but for the installed Debian packages, .venv and .lab/cache.
set -euo pipefail
cd "$(dirname "$0")"

case "${1:-}" in
-h | --help)
    sed -n '2,6s/^# \{0,1\}//p' "$0"
    exit 0
    ;;
esac

if [ "${1:-}" = --vm ]; then
    shift
    set -- vm "$@"
    lab/bootstrap.sh --vm
else
    lab/bootstrap.sh
fi
export XDG_CACHE_HOME="$PWD/.lab/cache/xdg" # what libraries cache stays in the checkout
suites=("$@")
[ ${#suites[@]} -gt 0 ] || suites=(lint unit crash rpc contract lab)

suite_timeout_s=2400 # a test that hangs must not hold whoever waits for all of them
failed=()
for suite in "${suites[@]}"; do
    printf '\n=== %s\n' "$suite"
    timeout --kill-after=60 "$suite_timeout_s" .venv/bin/tox run --current-env -q -e "$suite" || failed+=("$suite")
done
if [ ${#failed[@]} -gt 0 ]; then
    printf '\nfailed: %s\n' "${failed[*]}"
    exit 1
fi
printf '\nall suites passed: %s\n' "${suites[*]}"
