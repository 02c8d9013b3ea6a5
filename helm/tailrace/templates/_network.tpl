{{- /* Who may talk to a component, and whom it may talk to: dict root, name, it */ -}}
{{- define "tailrace.network" -}}
{{- $policy := .root.Values.networkPolicy }}
{{- if $policy.enabled }}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  {{- include "tailrace.metadata" . | nindent 2 }}
spec:
  podSelector:
    matchLabels:
      {{- include "tailrace.component.selector" . | nindent 6 }}
  policyTypes: [Ingress, Egress]
  ingress:
    # The port of /metrics is that of the API, and a NetworkPolicy knows no paths.
    - ports: [{port: http}]
      from:
        - podSelector:
            matchLabels:
              {{- include "tailrace.component.selector" (dict "root" .root "name" "test") | nindent 14 }}
        {{- with $policy.monitoring }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
        {{- if .it.exposed }}
        {{- with include "tailrace.network.callers" .root | trim }}
        {{- . | nindent 8 }}
        {{- end }}
        {{- end }}
    {{- if and .it.exposed (dig "grpc" "enabled" false .it) }}
    {{- with include "tailrace.network.callers" .root | trim }}
    - ports: [{port: grpc}]
      from:
        {{- . | nindent 8 }}
    {{- end }}
    {{- end }}
  egress:
    {{- include "tailrace.network.dns" .root | nindent 4 }}
    {{- $needs := ternary (append .it.needs "otlp") .it.needs (ne .root.Values.tracing.endpoint "") }}
    {{- range $needs }}
    {{- if hasKey $policy.egress . }}
    {{- include "tailrace.network.egress" (dict "root" $.root "need" .) | trim | nindent 4 }}
    {{- end }}
    {{- end }}
{{- end }}
{{- end }}

{{- /* Who may call what is exposed: clients, and the controller of the Ingress if there is one */ -}}
{{- define "tailrace.network.callers" -}}
{{- with .Values.networkPolicy.clients }}
{{ toYaml . }}
{{- end }}
{{- if .Values.ingress.enabled }}
{{- with .Values.ingress.controller }}
{{ toYaml . }}
{{- end }}
{{- end }}
{{- end }}

{{- define "tailrace.network.dns" -}}
- ports: [{port: 53, protocol: UDP}, {port: 53, protocol: TCP}]
  {{- with .Values.networkPolicy.dns }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}

{{- /* dict root, need; empty peers mean any address */ -}}
{{- define "tailrace.network.egress" -}}
{{- $values := .root.Values }}
{{- $given := get $values.networkPolicy.egress .need }}
{{- $peers := $given.peers }}
{{- if and (eq .need "kafka") $values.kafka.strimzi.enabled }}
{{- $peers = list (dict "podSelector" (dict "matchLabels" (dict "strimzi.io/cluster" (include "tailrace.kafka.cluster" .root) "strimzi.io/kind" "Kafka"))) }}
{{- else if and (eq .need "redis") $values.valkey.enabled }}
{{- $peers = list (dict "podSelector" (dict "matchLabels" (include "tailrace.component.selector" (dict "root" .root "name" "valkey") | fromYaml))) }}
{{- else if and (eq .need "mlflow") $values.mlflow.enabled }}
{{- $peers = list (dict "podSelector" (dict "matchLabels" (include "tailrace.component.selector" (dict "root" .root "name" "mlflow") | fromYaml))) }}
{{- end }}
{{- $addresses := dict
      "kafka" (include "tailrace.kafka.bootstrap" .root)
      "redis" (printf "redis:%v" (ternary 6379 $values.redis.port $values.valkey.enabled))
      "mlflow" (include "tailrace.mlflow.url" .root)
      "s3" (default "https://s3" $values.s3.endpoint)
      "otlp" $values.tracing.endpoint }}
{{- $ports := $given.ports }}
{{- if not $ports }}
{{- $ports = include "tailrace.ports" (get $addresses .need) | fromJsonArray }}
{{- end }}
- ports:
    {{- range $ports }}
    - port: {{ . }}
    {{- end }}
  {{- with $peers }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}

{{- /* The ports of comma-separated host:port or URLs, as JSON */ -}}
{{- define "tailrace.ports" -}}
{{- $ports := list }}
{{- range splitList "," . }}
{{- $host := . | trim | trimPrefix "https://" | trimPrefix "http://" | splitList "/" | first }}
{{- $port := regexFind ":[0-9]+$" $host | trimPrefix ":" }}
{{- $usual := ternary "443" "80" (hasPrefix "https://" (trim .)) }}
{{- $ports = append $ports (int (default $usual $port)) }}
{{- end }}
{{- $ports | uniq | toJson }}
{{- end }}
