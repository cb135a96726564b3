#!/bin/sh
# Print running, success or failed for a job's number, as the cluster-generic executor asks.
state=$(squeue --noheader --states=all --jobs="$1" --format=%T 2>/dev/null | head -n 1)
# The queue forgets ended jobs after some minutes; the accounting does not, where there is one.
[ -n "$state" ] || state=$(timeout 20 sacct --noheader --allocations --jobs="$1" --format=State%30 2>/dev/null | head -n 1)
case "$state" in
  *COMPLETED*) echo success ;;
  *PENDING* | *RUNNING* | *COMPLETING* | *CONFIGURING* | *SUSPENDED* | *REQUEUED*) echo running ;;
  *) echo failed ;;
esac
