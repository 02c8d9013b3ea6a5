{{- /* How a component is reached, and who it is: dict root, name, it */ -}}

{{- define "tailrace.account" -}}
# No Role is bound to it: no component talks to the Kubernetes API. Its annotations may name a role
# of the cloud, which is why each component has an account of its own.
apiVersion: v1
kind: ServiceAccount
metadata:
  {{- include "tailrace.metadata" . | nindent 2 }}
  {{- with dig "serviceAccount" "annotations" nil .it }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
automountServiceAccountToken: false
{{- end }}

{{- define "tailrace.service" -}}
apiVersion: v1
kind: Service
metadata:
  {{- include "tailrace.metadata" . | nindent 2 }}
spec:
  selector:
    {{- include "tailrace.component.selector" . | nindent 4 }}
  ports:
    - {name: http, port: 80, targetPort: http}
    {{- if dig "grpc" "enabled" false .it }}
    # Balanced by connection; a mesh or an Ingress that reads appProtocol balances by request.
    - {name: grpc, port: 8081, targetPort: grpc, appProtocol: kubernetes.io/h2c}
    {{- end }}
{{- end }}

{{- define "tailrace.budget" -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  {{- include "tailrace.metadata" . | nindent 2 }}
spec:
  # One at a time. A lone replica may be moved too: its work waits in Kafka meanwhile.
  maxUnavailable: 1
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      {{- include "tailrace.component.selector" . | nindent 6 }}
{{- end }}

{{- define "tailrace.monitor" -}}
{{- $monitor := .root.Values.monitoring.serviceMonitors }}
{{- if $monitor.enabled }}
apiVersion: monitoring.coreos.com/v1
kind: ServiceMonitor
metadata:
  {{- include "tailrace.metadata" . | nindent 2 }}
    {{- with $monitor.labels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  jobLabel: app.kubernetes.io/component
  selector:
    matchLabels:
      {{- include "tailrace.component.selector" . | nindent 6 }}
  endpoints:
    - port: http
      path: /metrics
      interval: {{ $monitor.interval }}
      relabelings:
        # What the rules and dashboards know the platform's targets by.
        - {targetLabel: part_of, replacement: tailrace}
{{- end }}
{{- end }}
