{{- /* One definition a need: what a component that has it is told */ -}}

{{- /* dict name, secret, key */ -}}
{{- define "tailrace.env.secret" -}}
- name: {{ .name }}
  valueFrom: {secretKeyRef: {name: {{ .secret | quote }}, key: {{ .key | quote }}}}
{{- end }}

{{- define "tailrace.env.kafka" -}}
{{- $kafka := .Values.kafka }}
{{- $protocol := include "tailrace.kafka.protocol" . }}
{{- $sasl := $kafka.security.sasl }}
- {name: KAFKA_BOOTSTRAP_SERVERS, value: {{ include "tailrace.kafka.bootstrap" . | quote }}}
- {name: KAFKA_PARTITIONS, value: {{ $kafka.partitions | quote }}}
- {name: KAFKA_REPLICATION, value: {{ $kafka.replication | quote }}}
- {name: KAFKA_SECURITY_PROTOCOL, value: {{ $protocol }}}
{{- if and (hasPrefix "SASL_" $protocol) (not $kafka.strimzi.enabled) }}
- {name: KAFKA_SASL_MECHANISM, value: {{ $sasl.mechanism }}}
{{ include "tailrace.env.secret" (dict "name" "KAFKA_SASL_USERNAME" "secret" $sasl.secret.name "key" $sasl.secret.usernameKey) }}
{{ include "tailrace.env.secret" (dict "name" "KAFKA_SASL_PASSWORD" "secret" $sasl.secret.name "key" $sasl.secret.passwordKey) }}
{{- end }}
{{- with include "tailrace.kafka.ca" . | fromYaml }}
- {name: KAFKA_CA_FILE, value: /etc/kafka/ca/ca.crt}
{{- end }}
{{- if include "tailrace.kafka.client" . }}
- {name: KAFKA_CERT_FILE, value: /etc/kafka/client/tls.crt}
- {name: KAFKA_KEY_FILE, value: /etc/kafka/client/tls.key}
{{- end }}
{{- end }}

{{- /* dict root, user: with Strimzi each service has a user of its own, with its own rights */ -}}
{{- define "tailrace.kafka.user" -}}
{{ include "tailrace.fullname" .root }}-{{ .user }}
{{- end }}

{{- define "tailrace.env.kafka.user" -}}
- {name: KAFKA_SASL_MECHANISM, value: SCRAM-SHA-512}
- {name: KAFKA_SASL_USERNAME, value: {{ include "tailrace.kafka.user" . }}}
{{ include "tailrace.env.secret" (dict "name" "KAFKA_SASL_PASSWORD" "secret" (include "tailrace.kafka.user" .) "key" "password") }}
{{- end }}

{{- /* Secret and key of the brokers' authority; empty where the system's will do */ -}}
{{- define "tailrace.kafka.ca" -}}
{{- if .Values.kafka.strimzi.enabled -}}
name: {{ include "tailrace.kafka.cluster" . }}-cluster-ca-cert
key: ca.crt
{{- else if and (hasSuffix "SSL" .Values.kafka.security.protocol) .Values.kafka.security.tls.caSecret.name -}}
{{ toYaml .Values.kafka.security.tls.caSecret }}
{{- end -}}
{{- end }}

{{- define "tailrace.kafka.client" -}}
{{- if and (not .Values.kafka.strimzi.enabled) (hasSuffix "SSL" .Values.kafka.security.protocol) -}}
{{ .Values.kafka.security.tls.clientSecret.name }}
{{- end -}}
{{- end }}

{{- define "tailrace.env.redis" -}}
{{- if .Values.valkey.enabled }}
- {name: REDIS_URL, value: "redis://{{ include "tailrace.fullname" . }}-valkey:6379/0"}
{{- else }}
{{ include "tailrace.env.secret" (dict "name" "REDIS_URL" "secret" .Values.redis.urlSecret.name "key" .Values.redis.urlSecret.key) }}
{{- end }}
{{- end }}

{{- define "tailrace.env.mlflow" -}}
- {name: MLFLOW_TRACKING_URI, value: {{ include "tailrace.mlflow.url" . | quote }}}
{{- $secret := .Values.mlflow.credentialsSecret }}
{{- if and $secret.name (not .Values.mlflow.enabled) }}
{{ include "tailrace.env.secret" (dict "name" "MLFLOW_TRACKING_USERNAME" "secret" $secret.name "key" $secret.usernameKey) }}
{{ include "tailrace.env.secret" (dict "name" "MLFLOW_TRACKING_PASSWORD" "secret" $secret.name "key" $secret.passwordKey) }}
{{- end }}
{{- end }}

{{- define "tailrace.env.s3" -}}
{{- $s3 := .Values.s3 }}
- {name: AWS_REGION, value: {{ $s3.region | quote }}}
{{- with $s3.endpoint }}
- {name: AWS_ENDPOINT_URL, value: {{ . | quote }}}
- {name: AWS_ALLOW_HTTP, value: {{ $s3.allowHttp | quote }}}
{{- end }}
{{- with $s3.credentialsSecret }}
{{- if .name }}
{{ include "tailrace.env.secret" (dict "name" "AWS_ACCESS_KEY_ID" "secret" .name "key" .accessKeyIdKey) }}
{{ include "tailrace.env.secret" (dict "name" "AWS_SECRET_ACCESS_KEY" "secret" .name "key" .secretAccessKeyKey) }}
{{- end }}
{{- end }}
{{- end }}

{{- define "tailrace.env.lake" -}}
- {name: LAKE_URI, value: {{ .Values.lake.uri | quote }}}
{{- end }}

{{- define "tailrace.env.feast" -}}
{{- with .Values.feast.repo }}
- {name: FEAST_REPO, value: {{ . | quote }}}
{{- end }}
{{- end }}

{{- define "tailrace.env.models" -}}
- {name: MODELS_DIR, value: /models}
{{- end }}

{{- define "tailrace.env" -}}
- {name: HTTP_HOST, value: 0.0.0.0}
- {name: HTTP_PORT, value: "8080"}
{{- if dig "grpc" "enabled" false .it }}
- {name: GRPC_PORT, value: "8081"}
{{- end }}
- {name: HOME, value: /tmp}
- {name: LOG_LEVEL, value: {{ .root.Values.logLevel }}}
- {name: SHUTDOWN_GRACE_SECONDS, value: {{ .root.Values.shutdown.graceSeconds | quote }}}
- {name: DO_NOT_TRACK, value: "true"}
- {name: MLFLOW_DISABLE_TELEMETRY, value: "true"}
- {name: MLFLOW_ALLOW_PICKLE_DESERIALIZATION, value: "false"}
- {name: FEAST_USAGE, value: "False"}
{{- with .root.Values.tracing.endpoint }}
- {name: OTEL_EXPORTER_OTLP_ENDPOINT, value: {{ . | quote }}}
{{- end }}
{{- if ne .it.slots "none" }}
- name: REPLICA_SLOT
  valueFrom: {fieldRef: {fieldPath: "metadata.labels['apps.kubernetes.io/pod-index']"}}
{{- end }}
{{- if eq .it.slots "partitions" }}
- {name: REPLICA_SLOTS, value: {{ .it.replicas | quote }}}
{{- end }}
{{- range $name, $volume := .it.volumes }}
- {name: {{ $volume.env }}, value: {{ $volume.path }}}
{{- end }}
{{- range .it.needs }}
{{- with include (printf "tailrace.env.%s" .) $.root | trim }}
{{ . }}
{{- end }}
{{- end }}
{{- if and .root.Values.kafka.strimzi.enabled (has "kafka" .it.needs) }}
{{ include "tailrace.env.kafka.user" (dict "root" .root "user" .it.image) }}
{{- end }}
{{- range $name, $from := .it.secretSettings }}
{{ include "tailrace.env.secret" (dict "name" $name "secret" $from.name "key" $from.key) }}
{{- end }}
{{- range $name, $value := .it.settings }}
- {name: {{ $name }}, value: {{ $value | quote }}}
{{- end }}
{{- end }}
