#!/usr/bin/env bash
# Makes what only some uses of `fathom serve` need: libfathom_mpi.so and libfathom_ucx.so, with their
# packages. ./up starts it before it serves; Ctrl-C there ends the server, this goes on.
set -uo pipefail
cd "$(dirname "$0")/../.."
source tools/setup/packages.sh

trap '' INT HUP
SECONDS=${FATHOM_SECONDS:-0}
FATHOM_ASK=no
FATHOM_GENTLY=(setsid --wait nice -n 19 ionice -c 3)
log=build/plug-ins.log

plug_ins() { ls build/bin/libfathom_mpi.so build/bin/libfathom_ucx.so 2>/dev/null; }

before=$(plug_ins)
if ! install_packages "${FATHOM_PLUG_IN_PACKAGES[@]}" >"$log" 2>&1; then
  say "Several ranks, and prefill and decode apart, need more packages"
  echo "Install them, then ./up builds what is missing: apt-get install ${FATHOM_PLUG_IN_PACKAGES[*]}"
elif ! build user plug_ins >>"$log" 2>&1; then
  say "Not built: what several ranks, and prefill and decode apart, need. $log says why"
elif [ "$(plug_ins)" != "$before" ]; then
  say "There now, too: mpirun build/bin/fathom serve (several ranks); prefill and decode apart"
fi
