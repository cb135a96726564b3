#!/bin/sh
# Cancel jobs by what sbatch --parsable printed of them: NUMBER, or NUMBER;CLUSTER.
for job in "$@"; do
  number=${job%%;*}
  cluster=${job#"$number"}
  cluster=${cluster#;}
  scancel ${cluster:+--clusters="$cluster"} "$number"
done
