#!/bin/bash
# A Slurm of one node, for tests: `start` prints the path of its slurm.conf, `stop` ends it. Needs root, and the
# programs of Debian's slurm-wlm and munge; nothing of the system's own configuration is read or changed.
set -euo pipefail
here=${AUCSEG_TEST_SLURM:-/tmp/aucseg-slurm}
conf=$here/slurm.conf

start() {
  mkdir -p "$here"/{state,spool,munge}
  chmod 755 "$here" "$here/munge"
  dd if=/dev/urandom of="$here/munge.key" bs=128 count=1 status=none
  chmod 600 "$here/munge.key"
  munged --force --key-file "$here/munge.key" --socket "$here/munge/socket" --pid-file "$here/munge/pid" \
    --log-file "$here/munge/log" --seed-file "$here/munge/seed" > /dev/null 2>&1
  cat > "$conf" << END
ClusterName=tests
SlurmctldHost=$(hostname)(127.0.0.1)
SlurmctldPort=36817
SlurmdPort=36818
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$here/munge/socket
CredType=cred/munge
StateSaveLocation=$here/state
SlurmdSpoolDir=$here/spool
SlurmctldPidFile=$here/slurmctld.pid
SlurmdPidFile=$here/slurmd.pid
SlurmctldLogFile=$here/slurmctld.log
SlurmdLogFile=$here/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
ReturnToService=2
JobRequeue=1
KillWait=5
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0
NodeName=$(hostname) NodeAddr=127.0.0.1 CPUs=16 State=UNKNOWN
PartitionName=tests Nodes=ALL Default=YES MaxTime=INFINITE State=UP
END
  slurmctld -f "$conf"
  slurmd -f "$conf"
  for _ in $(seq 120); do
    if SLURM_CONF=$conf sinfo --noheader --format=%T 2> /dev/null | grep -q idle; then
      echo "$conf"
      return 0
    fi
    sleep 0.5
  done
  tail -n 5 "$here"/slurm*.log >&2
  return 1
}

stop() {
  if [ -f "$conf" ]; then SLURM_CONF=$conf scancel --quiet --user=root 2> /dev/null || true; fi
  for pid in "$here"/slurmd.pid "$here"/slurmctld.pid "$here"/munge/pid; do
    if [ -f "$pid" ]; then kill "$(cat "$pid")" 2> /dev/null || true; fi
  done
  sleep 2
  rm -rf "$here"
}

"$1"
