{{- define "evs-operator.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* Name of the objects: the release's where it says what this is, both names elsewhere. */}}
{{- define "evs-operator.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" }}
{{- else }}
{{- $name := default .Chart.Name .Values.nameOverride }}
{{- if contains $name .Release.Name }}
{{- .Release.Name | trunc 52 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 52 | trimSuffix "-" }}
{{- end }}
{{- end }}
{{- end }}

{{- define "evs-operator.selectorLabels" -}}
app.kubernetes.io/name: {{ include "evs-operator.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "evs-operator.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "evs-operator.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "evs-operator.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "evs-operator.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "evs-operator.image" -}}
{{- if .Values.image.digest }}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest }}
{{- else }}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) }}
{{- end }}
{{- end }}

{{/* "true" or "": whether a Lease decides who works. */}}
{{- define "evs-operator.leaderElection" -}}
{{- $many := gt (int .Values.replicaCount) 1 }}
{{- if and $many (eq .Values.leaderElection.mode "disabled") }}
{{- fail "leaderElection.mode=disabled allows one replica only: two would both poll every EvsJob. Set replicaCount to 1, or leaderElection.mode to auto" }}
{{- end }}
{{- if or (eq .Values.leaderElection.mode "enabled") (and $many (eq .Values.leaderElection.mode "auto")) }}true{{ end }}
{{- end }}

{{/* "true" or "": whether ClusterEvsConnections may be used. */}}
{{- define "evs-operator.clusterConnections" -}}
{{- if and .Values.connections (eq .Values.clusterConnections "disabled") }}
{{- fail "connections are ClusterEvsConnections, and clusterConnections=disabled keeps the operator from reading any. Set it to enabled, or create EvsConnections in the namespaces that need them" }}
{{- end }}
{{- $auto := or .Values.connections (not .Values.scopedNamespaces) }}
{{- if or (eq .Values.clusterConnections "enabled") (and $auto (eq .Values.clusterConnections "auto")) }}true{{ end }}
{{- end }}

{{/* Flags that `run` and `check` share. */}}
{{- define "evs-operator.commonArgs" -}}
- --operator-namespace={{ .Release.Namespace }}
{{- range .Values.scopedNamespaces }}
- --namespace={{ . }}
{{- end }}
{{- if not .Values.defaultEndpoints }}
- --no-default-endpoints
{{- end }}
{{- range .Values.allowEndpoints }}
- {{ printf "--allow-endpoint=%s" . | quote }}
{{- end }}
{{- range .Values.allowAuth }}
- --allow-auth={{ . }}
{{- end }}
{{- if has "oidc" .Values.allowAuth }}
- --oidc-token-file=/var/run/secrets/evs-operator.dev/oidc/token
{{- end }}
- --log-format={{ .Values.log.format }}
- --log-level={{ .Values.log.level }}
{{- if include "evs-operator.leaderElection" . }}
- --leader-elect
{{- else }}
- --no-leader-elect
{{- end }}
{{- end }}

{{/* The webhook: names, and labels that no selector of the operator matches. */}}
{{- define "evs-operator.webhookFullname" -}}
{{ include "evs-operator.fullname" . }}-webhook
{{- end }}

{{- define "evs-operator.webhookSelectorLabels" -}}
app.kubernetes.io/name: {{ include "evs-operator.name" . | trunc 55 | trimSuffix "-" }}-webhook
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "evs-operator.webhookLabels" -}}
{{ include "evs-operator.labels" . | replace (include "evs-operator.selectorLabels" .) (include "evs-operator.webhookSelectorLabels" .) }}
{{- end }}

{{- define "evs-operator.webhookServiceAccountName" -}}
{{- if .Values.webhook.serviceAccount.create }}
{{- default (include "evs-operator.webhookFullname" .) .Values.webhook.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.webhook.serviceAccount.name }}
{{- end }}
{{- end }}

{{/* Rules for one namespace or, in a ClusterRole, for all: the least the operator needs. */}}
{{- define "evs-operator.rules" -}}
- apiGroups: [evs-operator.dev]
  resources: [evsjobs]
  verbs: [get, list, watch, delete] # delete: spec.ttlSecondsAfterFinished
- apiGroups: [evs-operator.dev]
  resources: [evsconnections]
  verbs: [get, list, watch]
- apiGroups: [evs-operator.dev]
  resources: [evsjobs/status, evsconnections/status]
  verbs: [patch] # server-side apply; nothing else of an object is ever written
- apiGroups: [""]
  resources: [secrets]
  verbs: [get] # by name, those that connections refer to; never list or watch
{{ include "evs-operator.eventRule" . }}
{{- end }}

{{- define "evs-operator.eventRule" -}}
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch] # one per transition, patched where it repeats
{{- end }}

{{/* Rules for ClusterEvsConnections; their Secrets are in the operator's namespace. */}}
{{- define "evs-operator.clusterConnectionRules" -}}
- apiGroups: [evs-operator.dev]
  resources: [clusterevsconnections]
  verbs: [get, list, watch]
- apiGroups: [evs-operator.dev]
  resources: [clusterevsconnections/status]
  verbs: [patch]
- apiGroups: [""]
  resources: [namespaces]
  verbs: [get] # labels, for spec.allowedNamespaces.selector
{{- end }}

{{/* Subject of a binding: the operator's ServiceAccount. */}}
{{- define "evs-operator.subjects" -}}
- kind: ServiceAccount
  name: {{ include "evs-operator.serviceAccountName" . }}
  namespace: {{ .Release.Namespace }}
{{- end }}

{{/* Peers of a NetworkPolicy rule and their ports: (dict "peers" "to" "list" … "ports" … "protocols" …). */}}
{{- define "evs-operator.networkRule" -}}
- ports:
    {{- range $port := .ports }}
    {{- range $.protocols }}
    - port: {{ $port }}
      protocol: {{ . }}
    {{- end }}
    {{- end }}
  {{- with .list }}
  {{ $.peers }}:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}

{{/* What a ServiceMonitor and a PodMonitor say alike about their one endpoint. */}}
{{- define "evs-operator.scrape" -}}
- port: http
  path: /metrics
  {{- with .interval }}
  interval: {{ . }}
  {{- end }}
  {{- with .scrapeTimeout }}
  scrapeTimeout: {{ . }}
  {{- end }}
  {{- with .relabelings }}
  relabelings:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .metricRelabelings }}
  metricRelabelings:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
