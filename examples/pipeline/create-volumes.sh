#!/usr/bin/env bash
# Orders volumes at the cloud, follows the job with an EvsJob, and goes on with the ids of the volumes:
#
#   EVS_TOKEN=… examples/pipeline/create-volumes.sh examples/pipeline/volumes.json
#
# Endpoint and project are those of the connection: CONNECTION, by default evsconnection/default in the namespace of
# your kubeconfig; PROJECT_ID names another project. Needs curl, kubectl, and the rights in rbac.yaml beside this file.
#
# Ends with 0 when all volumes are there, 1 when nothing was ordered or the job failed, 3 when a person must act, 124
# when TIMEOUT_SECONDS (600) are over. Whatever happens after the order, the cloud's answer and the job id have been printed.
set -euo pipefail
request=${1:?which request? for example examples/pipeline/volumes.json}
: "${EVS_TOKEN:?a token for the project}"
connection=${CONNECTION:-evsconnection/default}
kind=EvsConnection
[[ $connection == evsconnection/* ]] || kind=ClusterEvsConnection

give_up() { # CODE TEXT
  echo "$2" >&2
  exit "$1"
}
ready_of() { # OBJECT: reason and message of its Ready condition
  kubectl get "$1" -o jsonpath='{range .status.conditions[?(@.type=="Ready")]}{.reason}: {.message}{end}'
}
true_conditions_of() { # OBJECT
  kubectl get "$1" -o jsonpath='{.status.conditions[?(@.status=="True")].type}'
}
last_words() { # of a pipeline that did not get its volumes: what the cloud may still work on
  if (($?)) && [[ ${job_id:-} ]]; then
    echo "job id: $job_id${job:+, followed by $job}: look at it before you order again" >&2
  fi
}
trap last_words EXIT
trap 'exit 143' TERM
trap 'exit 130' INT

# Before the order: whom nobody can follow, nobody should order.
if ! said=$(kubectl wait "$connection" --for=condition=Ready --timeout=30s 2>&1); then
  reason=$(ready_of "$connection" 2>/dev/null) || true
  give_up 1 "nothing was ordered: $connection is not ready: ${reason:-$said}"
fi
endpoint=$(kubectl get "$connection" -o jsonpath='{.spec.endpoint}')
project=${PROJECT_ID:-$(kubectl get "$connection" -o jsonpath='{.spec.projectId}')}
[[ $project ]] || give_up 1 "nothing was ordered: $connection names no project: set PROJECT_ID"

# Once, whatever comes back: an order that is sent again makes volumes again.
code=0
answer=$(curl --silent --show-error --fail-with-body --max-time 60 "$endpoint/v2/$project/cloudvolumes" \
  --header @<(printf 'X-Auth-Token: %s' "$EVS_TOKEN") --header 'Content-Type: application/json' --data "@$request") || code=$?
echo "the cloud answered: ${answer:-nothing}"
job_id=$(sed -n 's/.*"job_id" *: *"\([0-9A-Za-z-]*\)".*/\1/p' <<<"$answer") # jq -r .job_id, where there is a jq
echo "job id: ${job_id:-none}"
if ((code)) && [[ -z $answer ]]; then
  give_up 1 "the order may have arrived all the same: look for its volumes at the cloud before you order again"
fi
((code == 0)) || give_up 1 "the cloud refused the order"
[[ $job_id ]] || give_up 1 "the answer names no job, so there is none to follow: look for the volumes at the cloud"

job=$(kubectl create -o name -f - <<EOF
apiVersion: evs-operator.dev/v1alpha1
kind: EvsJob
metadata:
  generateName: create-volumes- # each run follows a job of its own
spec:
  jobId: $job_id
  projectId: $project
  connectionRef: {kind: $kind, name: ${connection#*/}}
  ttlSecondsAfterFinished: 86400
EOF
)
echo "$job follows job $job_id"

# completionTime is there once the job ended, well or not. In between: does it wait for a person? An API server that does
# not answer for a while is no reason to give up.
end=$((SECONDS + ${TIMEOUT_SECONDS:-600}))
while ((SECONDS < end)); do
  ! kubectl wait "$job" --for=jsonpath='{.status.completionTime}' --timeout=10s >/dev/null 2>&1 || break
  [[ $(true_conditions_of "$job" || true) != *Stalled* ]] || break
  sleep 1
done

case $(true_conditions_of "$job") in
  *Complete*) ;;
  *Failed*) give_up 1 "the job failed: $(ready_of "$job")
$(kubectl get "$job" -o jsonpath='{.status.failure.hint}')" ;;
  *Stalled*) give_up 3 "a person must act: $(ready_of "$job")" ;;
  *) give_up 124 "not finished within ${TIMEOUT_SECONDS:-600} s: $(ready_of "$job")" ;;
esac

for volume in $(kubectl get "$job" -o jsonpath='{.status.volumeIds[*]}'); do
  echo "volume $volume is there" # your next step
done
