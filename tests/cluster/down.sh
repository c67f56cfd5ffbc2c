#!/usr/bin/env bash
# Ends what up.sh started.
L=${SLURM_LAB:-${TMPDIR:-/tmp}/simvtp-slurm}; export SLURM_CONF=$L/slurm.conf
[ -e $L/pids ] || exit 0
scancel -u root 2>/dev/null; sleep ${GRACE:-1}
for p in $(tac $L/pids); do kill $p 2>/dev/null; done
for i in $(seq 50); do a=0; for p in $(cat $L/pids); do kill -0 $p 2>/dev/null && a=1; done; [ $a = 0 ] && break; sleep .1; done
for p in $(cat $L/pids); do kill -9 $p 2>/dev/null; done
rm -f $L/pids
