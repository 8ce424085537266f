#!/usr/bin/env bash
# Runs a command when an EvsJob completed, with the ids of its volumes in VOLUME_IDS:
#
#   examples/consumers/after-evsjob.sh NAME COMMAND…
#
# Ends at once with the reason when the job failed or a person must act; waits up to TIMEOUT (10m). kubectl takes
# the cluster and the namespace from your kubeconfig.
set -euo pipefail
job=evsjob/$1
shift

# Whichever comes first. kubectl does not take the result of an older spec, such as another job id, for this one's.
kubectl wait "$job" --for=condition=Complete --timeout="${TIMEOUT:-10m}" >/dev/null 2>&1 & complete=$!
kubectl wait "$job" --for=condition=Stalled --timeout="${TIMEOUT:-10m}" >/dev/null 2>&1 & stalled=$!
trap 'kill $complete $stalled 2>/dev/null || true' EXIT
wait -n || true

if ! kubectl wait "$job" --for=condition=Complete --timeout=0 >/dev/null 2>&1; then
  kubectl get "$job" -o jsonpath='{.metadata.name}: {.status.conditions[?(@.type=="Ready")].message}{"\n"}' >&2
  exit 1
fi
VOLUME_IDS=$(kubectl get "$job" -o jsonpath='{.status.volumeIds[*]}')
export VOLUME_IDS
"$@"
