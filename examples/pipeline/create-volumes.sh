#!/usr/bin/env bash
# Creates volumes at the cloud, follows the job with an EvsJob, and goes on with the ids of the volumes:
#
#   EVS_ENDPOINT=https://evs.eu-de.otc.t-systems.com PROJECT_ID=… EVS_TOKEN=… \
#     examples/pipeline/create-volumes.sh examples/pipeline/volumes.json
#
# The namespace of your kubeconfig needs an EvsConnection named default. Needs curl and kubectl.
set -euo pipefail

answer=$(curl --silent --show-error --fail-with-body "$EVS_ENDPOINT/v2/$PROJECT_ID/cloudvolumes" \
  --header @<(printf 'X-Auth-Token: %s' "$EVS_TOKEN") --header 'Content-Type: application/json' --data "@$1")
job_id=$(sed -n 's/.*"job_id": *"\([^"]*\)".*/\1/p' <<<"$answer") # jq -r .job_id, where there is a jq

job=$(kubectl create -o name -f - <<EOF
apiVersion: evs-operator.dev/v1alpha1
kind: EvsJob
metadata:
  generateName: create-volumes- # each run follows a job of its own
spec:
  jobId: $job_id
  ttlSecondsAfterFinished: 86400
EOF
)
echo "$job follows job $job_id"

# It has ended one way or the other when completionTime is there; then it is Complete, or it failed.
kubectl wait "$job" --for=jsonpath='{.status.completionTime}' --timeout="${TIMEOUT:-10m}" >/dev/null
if ! kubectl wait "$job" --for=condition=Complete --timeout=0 >/dev/null 2>&1; then
  kubectl get "$job" -o jsonpath='{.status.conditions[?(@.type=="Ready")].message}{"\n"}{.status.failure.hint}{"\n"}' >&2
  exit 1
fi

for volume in $(kubectl get "$job" -o jsonpath='{.status.volumeIds[*]}'); do
  echo "volume $volume is there" # your next step
done
