#!/bin/sh
# Print running, success or failed for a job's number, as the cluster-generic executor asks.
# Failed is only what Slurm calls so: a scheduler that does not answer knows no more than we do, and
# a job that is told failed would be submitted a second time beside the first.
number=${1%%;*} # sbatch --parsable prints NUMBER;CLUSTER where there are several clusters
cluster=${1#"$number"}
cluster=${cluster#;}
answer=$(timeout 20 squeue ${cluster:+--clusters="$cluster"} --noheader --states=all --jobs="$number" --format=%T 2>&1)
asked=$?
case "$answer" in
  *"Invalid job id"*) answer= ;;
  *) [ $asked -eq 0 ] || { echo running; exit; } ;;
esac
state=$(printf '%s\n' "$answer" | grep -v '^CLUSTER' | head -n 1)
if [ -z "$state" ]; then
  # The queue forgets ended jobs after some minutes; the accounting does not, where there is one.
  answer=$(timeout 20 sacct ${cluster:+--clusters="$cluster"} --noheader --allocations --jobs="$number" --format=State%30 2>&1)
  asked=$?
  case "$answer" in
    *disabled* | *"not found"*) answer= ;;
    *) [ $asked -eq 0 ] || { echo running; exit; } ;;
  esac
  state=$(printf '%s\n' "$answer" | tail -n 1)
fi
# shellcheck disable=SC2086
set -- $state # "CANCELLED by 1000", and blanks around
case "$1" in
  COMPLETED) echo success ;;
  BOOT_FAIL | CANCELLED* | DEADLINE | FAILED | LAUNCH_FAILED | NODE_FAIL | OUT_OF_MEMORY) echo failed ;;
  PREEMPTED | RECONFIG_FAIL | REVOKED | TIMEOUT) echo failed ;;
  "") echo failed ;; # both answered, and neither knows the job
  *) echo running ;;
esac
