{{- /* What a component writes to, and the certificates that it reads: dict root, name, it */ -}}

{{- define "tailrace.mounts" -}}
- {name: tmp, mountPath: /tmp}
{{- range $name, $volume := .it.volumes }}
- {name: {{ $name }}, mountPath: {{ $volume.path }}}
{{- end }}
{{- if and (has "models" .it.needs) .root.Values.models.image }}
- {name: model-folders, mountPath: /models, readOnly: true}
{{- end }}
{{- if include "tailrace.kafka.ca" .root }}
- {name: kafka-ca, mountPath: /etc/kafka/ca, readOnly: true}
{{- end }}
{{- if include "tailrace.kafka.client" .root }}
- {name: kafka-client, mountPath: /etc/kafka/client, readOnly: true}
{{- end }}
{{- end }}

{{- define "tailrace.volumes" -}}
- name: tmp
  emptyDir: {sizeLimit: 1Gi}
{{- range $name, $volume := .it.volumes }}
{{- if not $volume.persistent }}
- name: {{ $name }}
  emptyDir: {sizeLimit: {{ $volume.size }}}
{{- end }}
{{- end }}
{{- if and (has "models" .it.needs) .root.Values.models.image }}
- name: model-folders
  emptyDir: {sizeLimit: 64Mi}
{{- end }}
{{- with include "tailrace.kafka.ca" .root | fromYaml }}
- name: kafka-ca
  secret: {secretName: {{ .name }}, items: [{key: {{ .key }}, path: ca.crt}]}
{{- end }}
{{- with include "tailrace.kafka.client" .root }}
{{- $tls := $.root.Values.kafka.security.tls.clientSecret }}
- name: kafka-client
  secret:
    secretName: {{ . }}
    items: [{key: {{ $tls.certKey }}, path: tls.crt}, {key: {{ $tls.keyKey }}, path: tls.key}]
{{- end }}
{{- end }}

{{- define "tailrace.claims" -}}
{{- $claims := dict }}
{{- range $name, $volume := .it.volumes }}
{{- if $volume.persistent }}{{ $_ := set $claims $name $volume }}{{ end }}
{{- end }}
{{- if $claims }}
volumeClaimTemplates:
  {{- range $name, $volume := $claims }}
  - metadata:
      name: {{ $name }}
      labels:
        {{- include "tailrace.component.selector" $ | nindent 8 }}
    spec:
      accessModes: [ReadWriteOnce]
      {{- with $volume.storageClass }}
      storageClassName: {{ . }}
      {{- end }}
      resources:
        requests: {storage: {{ $volume.size }}}
  {{- end }}
{{- end }}
{{- end }}
