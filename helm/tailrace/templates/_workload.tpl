{{- /* The Deployment or StatefulSet of a component: dict root, name, it */ -}}
{{- define "tailrace.workload" -}}
{{- $values := .root.Values }}
{{- $scaled := or (dig "hpa" "enabled" false .it) (dig "keda" "enabled" false .it) }}
apiVersion: apps/v1
kind: {{ .it.kind }}
metadata:
  {{- include "tailrace.metadata" . | nindent 2 }}
spec:
  {{- if not $scaled }}
  replicas: {{ .it.replicas }}
  {{- end }}
  revisionHistoryLimit: 5
  selector:
    matchLabels:
      {{- include "tailrace.component.selector" . | nindent 6 }}
  {{- if eq .it.kind "Deployment" }}
  # A new pod is ready before an old one goes: no request fails.
  strategy:
    type: RollingUpdate
    rollingUpdate: {maxUnavailable: 0, maxSurge: 1}
  minReadySeconds: 5
  {{- else }}
  serviceName: {{ include "tailrace.fullname" .root }}-{{ .name }}
  # Slots do not wait for each other.
  podManagementPolicy: Parallel
  updateStrategy: {type: RollingUpdate}
  {{- with include "tailrace.claims" . | trim }}
  {{- . | nindent 2 }}
  {{- end }}
  {{- end }}
  template:
    metadata:
      labels:
        {{- include "tailrace.pod.labels" . | nindent 8 }}
      annotations:
        kubectl.kubernetes.io/default-container: {{ .name }}
        {{- with .it.podAnnotations }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    spec:
      serviceAccountName: {{ include "tailrace.fullname" .root }}-{{ .name }}
      {{- include "tailrace.pod.common" .root | nindent 6 }}
      # Longer than the wait before and the grace after the signal, or the kubelet cuts it short.
      terminationGracePeriodSeconds: {{ add $values.shutdown.preStopSeconds $values.shutdown.graceSeconds 5 }}
      topologySpreadConstraints:
        {{- include "tailrace.spread" . | trim | nindent 8 }}
      {{- range $key := list "nodeSelector" "tolerations" "affinity" "priorityClassName" }}
      {{- with get $.it $key }}
      {{ $key }}: {{ toYaml . | nindent 8 }}
      {{- end }}
      {{- end }}
      {{- if and (has "models" .it.needs) $values.models.image }}
      initContainers:
        - name: models
          image: {{ $values.models.image }}
          imagePullPolicy: {{ $values.image.pullPolicy }}
          command: [cp, -R, /models/., /target]
          securityContext:
            {{- include "tailrace.container.security" . | nindent 12 }}
          resources:
            requests: {cpu: 10m, memory: 32Mi}
            limits: {memory: 128Mi}
          volumeMounts:
            - {name: model-folders, mountPath: /target}
      {{- end }}
      containers:
        - name: {{ .name }}
          image: {{ include "tailrace.image" (dict "root" .root "image" .it.image) }}
          imagePullPolicy: {{ $values.image.pullPolicy }}
          {{- with .it.args }}
          args: {{ toJson . }}
          {{- end }}
          ports:
            - {name: http, containerPort: 8080}
            {{- if dig "grpc" "enabled" false .it }}
            - {name: grpc, containerPort: 8081}
            {{- end }}
          env:
            {{- include "tailrace.env" . | nindent 12 }}
          {{- include "tailrace.probes" . | nindent 10 }}
          # Endpoints and load balancers drop the pod first; only then does it hear the signal.
          lifecycle:
            preStop:
              sleep: {seconds: {{ $values.shutdown.preStopSeconds }}}
          securityContext:
            {{- include "tailrace.container.security" . | nindent 12 }}
          resources:
            {{- toYaml .it.resources | nindent 12 }}
          volumeMounts:
            {{- include "tailrace.mounts" . | trim | nindent 12 }}
      volumes:
        {{- include "tailrace.volumes" . | trim | nindent 8 }}
{{- end }}
