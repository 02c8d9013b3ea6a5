{{- /* dict root, name, it */ -}}

{{- define "tailrace.hpa" -}}
{{- $hpa := default dict .it.hpa }}
{{- if $hpa.enabled }}
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  {{- include "tailrace.metadata" . | nindent 2 }}
spec:
  scaleTargetRef:
    apiVersion: apps/v1
    kind: {{ .it.kind }}
    name: {{ include "tailrace.fullname" .root }}-{{ .name }}
  minReplicas: {{ $hpa.minReplicas }}
  maxReplicas: {{ $hpa.maxReplicas }}
  metrics:
    - type: Resource
      resource:
        name: cpu
        target: {type: Utilization, averageUtilization: {{ $hpa.cpuPercent }}}
    {{- if $hpa.inFlight }}
    # Needs an adapter that serves the metric of Prometheus as a custom metric.
    - type: Pods
      pods:
        metric: {name: predictions_in_flight}
        target: {type: AverageValue, averageValue: {{ $hpa.inFlight | quote }}}
    {{- end }}
  behavior:
    # A new replica loads its models first, so it is not sent away after a short lull.
    scaleDown: {stabilizationWindowSeconds: 300}
{{- end }}
{{- end }}

{{- define "tailrace.keda" -}}
{{- $keda := default dict .it.keda }}
{{- if $keda.enabled }}
{{- $protocol := include "tailrace.kafka.protocol" .root }}
{{- $mechanisms := dict "PLAIN" "plaintext" "SCRAM-SHA-256" "scram_sha256" "SCRAM-SHA-512" "scram_sha512" }}
{{- $mechanism := ternary "SCRAM-SHA-512" .root.Values.kafka.security.sasl.mechanism .root.Values.kafka.strimzi.enabled }}
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata:
  {{- include "tailrace.metadata" . | nindent 2 }}
spec:
  scaleTargetRef:
    apiVersion: apps/v1
    kind: {{ .it.kind }}
    name: {{ include "tailrace.fullname" .root }}-{{ .name }}
  minReplicaCount: {{ $keda.minReplicas }}
  maxReplicaCount: {{ $keda.maxReplicas }}
  advanced:
    horizontalPodAutoscalerConfig:
      behavior:
        # Each change moves partitions, and a static member is missed only after its session.
        scaleDown: {stabilizationWindowSeconds: 600}
  triggers:
    {{- range .it.consumer.topics }}
    - type: kafka
      metadata:
        bootstrapServers: {{ include "tailrace.kafka.bootstrap" $.root }}
        consumerGroup: {{ $.it.consumer.group }}
        topic: {{ . }}
        lagThreshold: {{ $keda.lagThreshold | quote }}
        # A group that has read nothing yet begins at the start.
        offsetResetPolicy: earliest
        sasl: {{ ternary (get $mechanisms $mechanism) "none" (hasPrefix "SASL_" $protocol) }}
        tls: {{ ternary "enable" "disable" (hasSuffix "SSL" $protocol) }}
      {{- if ne $protocol "PLAINTEXT" }}
      authenticationRef: {name: {{ include "tailrace.fullname" $.root }}-{{ $.name }}}
      {{- end }}
    {{- end }}
{{- end }}
{{- end }}

{{- define "tailrace.keda.auth" -}}
{{- $protocol := include "tailrace.kafka.protocol" .root }}
{{- if and (dig "keda" "enabled" false .it) (ne $protocol "PLAINTEXT") }}
{{- $ca := include "tailrace.kafka.ca" .root | fromYaml }}
{{- $client := include "tailrace.kafka.client" .root }}
apiVersion: keda.sh/v1alpha1
kind: TriggerAuthentication
metadata:
  {{- include "tailrace.metadata" . | nindent 2 }}
spec:
  {{- if hasPrefix "SASL_" $protocol }}
  # Those of the container, which refer to the Secret.
  env:
    - {parameter: username, name: KAFKA_SASL_USERNAME, containerName: {{ .name }}}
    - {parameter: password, name: KAFKA_SASL_PASSWORD, containerName: {{ .name }}}
  {{- end }}
  {{- if or $ca $client }}
  secretTargetRef:
    {{- with $ca }}
    - {parameter: ca, name: {{ .name }}, key: {{ .key }}}
    {{- end }}
    {{- if $client }}
    {{- $tls := .root.Values.kafka.security.tls.clientSecret }}
    - {parameter: cert, name: {{ $client }}, key: {{ $tls.certKey }}}
    - {parameter: key, name: {{ $client }}, key: {{ $tls.keyKey }}}
    {{- end }}
  {{- end }}
{{- end }}
{{- end }}
