#!/usr/bin/env bash
# A real SLURM on one machine for the tests: munge, slurmdbd with MariaDB, slurmctld and several slurmd, no systemd, no
# cgroups, all state below $SLURM_LAB. Needs root on Debian 12, and installs Debian's packages where they are absent.
#   bash tests/cluster/up.sh && . $SLURM_LAB/env      afterwards: bash tests/cluster/down.sh
# Partitions: main; low (preempted by the others, requeued after a signal); short (five minutes). GPUs are declared.
# NODES (2), CPUS of a node (4, overcommitted), LONGEST array (4 tasks, so that sweeps of five runs are split).
set -euo pipefail
L=${SLURM_LAB:-${TMPDIR:-/tmp}/simvtp-slurm}; NODES=${NODES:-2}; CPUS=${CPUS:-4}; DB=${DB:-1}; LONGEST=${LONGEST:-4}; H=$(hostname -s)
t0=$(date +%s.%N)
pk="slurmctld slurmd slurm-client munge"; [ "$DB" = 1 ] && pk="$pk slurmdbd mariadb-server"
for p in $pk; do dpkg -s $p >/dev/null 2>&1 || need=1; done
if [ -n "${need:-}" ]; then
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -y -qq --no-install-recommends $pk >$(dirname $L)/slurm-apt.log 2>&1
fi
t1=$(date +%s.%N)
[ -e $L/pids ] && { echo "already up? run down.sh first" >&2; exit 1; }
rm -rf $L; mkdir -p $L/{ctld,log,run,db}; chmod 755 $L; : >$L/pids
for name in $H $(seq -f n%g $NODES); do  # a run over several nodes finds the first of them by its name
  getent hosts $name >/dev/null || echo "127.0.0.1 $name" >>/etc/hosts
done
# --- munge: own key and socket (never /run/munge), as root
dd if=/dev/urandom of=$L/munge.key bs=128 count=1 status=none; chmod 400 $L/munge.key
munged --force --key-file=$L/munge.key --socket=$L/run/munge.sock --pid-file=$L/run/munged.pid \
       --log-file=$L/log/munged.log --seed-file=$L/munge.seed
cat $L/run/munged.pid >>$L/pids
AUTH="AuthType=auth/munge
AuthInfo=socket=$L/run/munge.sock,cred_expire=5"
acct="AccountingStorageType=accounting_storage/none"
if [ "$DB" = 1 ]; then
  acct="AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=localhost
AccountingStoragePort=16819
AccountingStoragePass=$L/run/munge.sock"
  mariadb-install-db --no-defaults --user=root --datadir=$L/db --auth-root-authentication-method=normal --skip-test-db >$L/log/mariadb-install.log 2>&1
  mariadbd --no-defaults --user=root --datadir=$L/db --socket=$L/run/mysql.sock --pid-file=$L/run/mariadb.pid --skip-networking \
     --innodb-buffer-pool-size=64M --innodb-lock-wait-timeout=900 --innodb-flush-log-at-trx-commit=0 >$L/log/mariadb.log 2>&1 &
  echo $! >>$L/pids
  for i in $(seq 100); do mariadb-admin --no-defaults -uroot -S $L/run/mysql.sock ping >/dev/null 2>&1 && break; sleep .1; done
  cat >$L/slurmdbd.conf <<C
$AUTH
DbdHost=localhost
DbdPort=16819
SlurmUser=root
StorageType=accounting_storage/mysql
StorageHost=localhost
StorageLoc=slurm_acct
StorageUser=root
LogFile=$L/log/slurmdbd.log
PidFile=$L/run/slurmdbd.pid
C
  chmod 600 $L/slurmdbd.conf
fi
cat >$L/slurm.conf <<C
ClusterName=lab
SlurmctldHost=$H(127.0.0.1)
SlurmctldPort=16817
SlurmUser=root
$AUTH
CredType=cred/munge
StateSaveLocation=$L/ctld
SlurmdSpoolDir=$L/spool-%n
SlurmctldPidFile=$L/run/slurmctld.pid
SlurmdPidFile=$L/run/slurmd-%n.pid
SlurmctldLogFile=$L/log/slurmctld.log
SlurmdLogFile=$L/log/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=5
MpiDefault=none
ReturnToService=2
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=1,sched_interval=2,batch_sched_delay=0
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SlurmctldParameters=preempt_send_user_signal
JobRequeue=1
KillWait=5
MinJobAge=3600
SlurmdTimeout=10
SlurmctldTimeout=10
InactiveLimit=0
MaxArraySize=$((LONGEST+1))
FirstJobId=$(( $(date +%s) % 10000000 ))
$acct
JobCompType=jobcomp/filetxt
JobCompLoc=$L/log/jobcomp.txt
GresTypes=gpu
$(for n in $(seq $NODES); do echo "NodeName=n$n NodeHostname=$H NodeAddr=127.0.0.1 Port=$((17000+n)) CPUs=$CPUS RealMemory=4000 Gres=gpu:$CPUS State=UNKNOWN"; done)
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE PriorityTier=10 PreemptMode=OFF
PartitionName=low  Nodes=ALL MaxTime=INFINITE PriorityTier=1 PreemptMode=REQUEUE GraceTime=20
PartitionName=short Nodes=n1 MaxTime=00:05:00 PriorityTier=10 PreemptMode=OFF
C
# fake GPUs: any character devices will do; CUDA_VISIBLE_DEVICES is then set 0..k-1
echo "NodeName=n[1-$NODES] Name=gpu File=/dev/tty[1-$CPUS]" >$L/gres.conf
export SLURM_CONF=$L/slurm.conf
cat >$L/env <<C
export SLURM_CONF=$L/slurm.conf
C
wait_port(){ for i in $(seq 200); do (echo >/dev/tcp/127.0.0.1/$1) 2>/dev/null && return; sleep .05; done; echo "port $1 not up" >&2; exit 1; }
if [ "$DB" = 1 ]; then
  MYSQL_UNIX_PORT=$L/run/mysql.sock slurmdbd -D >/dev/null 2>&1 & echo $! >>$L/pids
  wait_port 16819
  sacctmgr -i add cluster lab >/dev/null 2>&1 || true      # before slurmctld, else it registers itself late
fi
slurmctld -D -c >/dev/null 2>&1 & echo $! >>$L/pids; wait_port 16817
for n in $(seq $NODES); do mkdir -p $L/spool-n$n; slurmd -D -N n$n >/dev/null 2>&1 & echo $! >>$L/pids; done
for i in $(seq 100); do [ "$(sinfo -h -t idle -o %D -p main)" = $NODES ] && break; sleep .1; done
t2=$(date +%s.%N); sinfo
echo "install $(echo "$t1-$t0"|bc)s, start $(echo "$t2-$t1"|bc)s; now:  . $L/env"
