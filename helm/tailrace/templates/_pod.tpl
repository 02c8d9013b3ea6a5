{{- /* Pod security "restricted", and a file system that nobody can write to */ -}}
{{- define "tailrace.pod.security" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "tailrace.container.security" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities: {drop: [ALL]}
{{- end }}

{{- define "tailrace.pod.common" -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  {{- include "tailrace.pod.security" . | nindent 2 }}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end }}

{{- /* Spread over nodes and zones; a pod of an older revision does not count */ -}}
{{- define "tailrace.spread" -}}
{{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
- topologyKey: {{ . }}
  maxSkew: 1
  # A cluster with one node shall do as well.
  whenUnsatisfiable: ScheduleAnyway
  labelSelector:
    matchLabels:
      {{- include "tailrace.component.selector" $ | nindent 6 }}
  matchLabelKeys: [{{ ternary "pod-template-hash" "controller-revision-hash" (eq $.it.kind "Deployment") }}]
{{- end }}
{{- end }}

{{- define "tailrace.probes" -}}
# Alive, not ready: while Kafka is away a pod waits for it, and a restart would not help.
startupProbe:
  httpGet: {path: /livez, port: http}
  periodSeconds: 2
  failureThreshold: {{ div .it.startupSeconds 2 }}
livenessProbe:
  httpGet: {path: /livez, port: http}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  httpGet: {path: /readyz, port: http}
  periodSeconds: 5
  timeoutSeconds: 3
  failureThreshold: 2
{{- end }}
