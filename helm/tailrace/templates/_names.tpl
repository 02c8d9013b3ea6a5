{{- define "tailrace.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- $full := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) -}}
{{- /* 38: with "-drift-windows" and the hash that a StatefulSet appends in a label, it is 63 */ -}}
{{- default $full .Values.fullnameOverride | trunc 38 | trimSuffix "-" -}}
{{- end }}

{{- /* What selects every pod of the release, and no pod of Strimzi, which has a name of its own */ -}}
{{- define "tailrace.selector" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "tailrace.labels" -}}
{{ include "tailrace.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: tailrace
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- /* dict root, name; no version, so that a new version of the chart alone restarts nothing */ -}}
{{- define "tailrace.pod.labels" -}}
{{ include "tailrace.component.selector" . }}
app.kubernetes.io/part-of: tailrace
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- /* dict root, name */ -}}
{{- define "tailrace.metadata" -}}
name: {{ include "tailrace.fullname" .root }}-{{ .name }}
namespace: {{ .root.Release.Namespace }}
labels:
  {{- include "tailrace.labels" .root | nindent 2 }}
  app.kubernetes.io/component: {{ .name }}
{{- end }}

{{- define "tailrace.component.selector" -}}
{{ include "tailrace.selector" .root }}
app.kubernetes.io/component: {{ .name }}
{{- end }}

{{- /* dict root, image */ -}}
{{- define "tailrace.image" -}}
{{- $image := .root.Values.image -}}
{{- $digest := get $image.digests .image -}}
{{- printf "%s/%s%s" $image.registry .image (ternary (printf "@%s" $digest) (printf ":%s" (default .root.Chart.AppVersion $image.tag)) (ne $digest "")) -}}
{{- end }}

{{- define "tailrace.kafka.cluster" -}}
{{ include "tailrace.fullname" . }}
{{- end }}

{{- define "tailrace.kafka.bootstrap" -}}
{{- if .Values.kafka.strimzi.enabled -}}
{{- /* With the namespace, for KEDA asks from another one */ -}}
{{ include "tailrace.kafka.cluster" . }}-kafka-bootstrap.{{ .Release.Namespace }}.svc:9093
{{- else -}}
{{ .Values.kafka.bootstrapServers }}
{{- end -}}
{{- end }}

{{- define "tailrace.kafka.protocol" -}}
{{- ternary "SASL_SSL" .Values.kafka.security.protocol .Values.kafka.strimzi.enabled -}}
{{- end }}

{{- define "tailrace.mlflow.url" -}}
{{- ternary (printf "http://%s-mlflow:5000" (include "tailrace.fullname" .)) .Values.mlflow.url .Values.mlflow.enabled -}}
{{- end }}
