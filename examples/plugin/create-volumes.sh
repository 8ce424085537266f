#!/usr/bin/env bash
# Orders volumes at the cloud and waits for them, in one line of a pipeline:
#
#   EVS_ENDPOINT=https://evs.eu-de.otc.t-systems.com PROJECT_ID=… EVS_TOKEN=… examples/plugin/create-volumes.sh request.json
#
# The cloud's answer stays in answer.json, whatever happens after it: what was ordered is paid for. Prints the ids of the
# volumes; ends with the exit code of `kubectl evsjob wait`. Needs curl, kubectl with the plugin, and rbac.yaml beside this.
set -euo pipefail
request=${1:?which request? for example examples/pipeline/volumes.json}

curl --silent --show-error --fail-with-body --max-time 60 "$EVS_ENDPOINT/v2/$PROJECT_ID/cloudvolumes" \
  --header @<(printf 'X-Auth-Token: %s' "$EVS_TOKEN") --header 'Content-Type: application/json' --data "@$request" |
  tee answer.json |
  kubectl evsjob create -f - --project-id "$PROJECT_ID" --ttl 1d --wait --timeout "${TIMEOUT:-10m}" -o json >evsjob.json

python3 -c 'import json; print(*json.load(open("evsjob.json"))["status"].get("volumeIds", []), sep="\n")'
