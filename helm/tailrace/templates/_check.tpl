{{- /* What the schema cannot say, since it is about two values at once */ -}}
{{- define "tailrace.check" -}}
{{- $v := .Values }}
{{- $problems := list }}
{{- if not (or $v.kafka.bootstrapServers $v.kafka.strimzi.enabled) }}
{{- $problems = append $problems "kafka.bootstrapServers is empty: name the brokers, or set kafka.strimzi.enabled" }}
{{- end }}
{{- if not (or $v.redis.urlSecret.name $v.valkey.enabled) }}
{{- $problems = append $problems "redis.urlSecret.name is empty: name the Secret that holds the URL, or, for a trial, set valkey.enabled" }}
{{- end }}
{{- if eq (empty $v.mlflow.url) (not $v.mlflow.enabled) }}
{{- $problems = append $problems "mlflow.url and mlflow.enabled: set one of them, the URL of a server or, for a trial, one of this chart's own" }}
{{- end }}
{{- if not $v.lake.uri }}
{{- $problems = append $problems "lake.uri is empty: say under which s3:// prefix the tables lie" }}
{{- end }}
{{- if and (hasPrefix "SASL_" $v.kafka.security.protocol) (not $v.kafka.security.sasl.secret.name) (not $v.kafka.strimzi.enabled) }}
{{- $problems = append $problems (printf "kafka.security.sasl.secret.name is empty, but the protocol is %s: name the Secret with user and password" $v.kafka.security.protocol) }}
{{- end }}
{{- if and $v.kafka.topics.enabled (not $v.kafka.strimzi.enabled) (not $v.kafka.topics.cluster) }}
{{- $problems = append $problems "kafka.topics.cluster is empty: name the Kafka resource whose topic operator is to make the topics" }}
{{- end }}
{{- if and $v.externalSecrets.enabled (not $v.externalSecrets.store.name) }}
{{- $problems = append $problems "externalSecrets.store.name is empty: name the store that holds the secrets" }}
{{- end }}
{{- if and $v.s3.allowHttp (not $v.s3.endpoint) }}
{{- $problems = append $problems "s3.allowHttp is for an s3.endpoint of your own, and there is none" }}
{{- end }}
{{- if $v.ingress.enabled }}
{{- if not $v.ingress.host }}
{{- $problems = append $problems "ingress.host is empty: name the host under which it is reached" }}
{{- end }}
{{- if and $v.networkPolicy.enabled (not $v.ingress.controller) }}
{{- $problems = append $problems "ingress.controller is empty: name the pods of the Ingress controller, or the NetworkPolicies keep it out" }}
{{- end }}
{{- if and $v.ingress.grpc.host (not $v.components.predictor.grpc.enabled) }}
{{- $problems = append $problems "ingress.grpc.host is set, but components.predictor.grpc.enabled is not" }}
{{- end }}
{{- end }}
{{- range $name, $it := $v.components }}
{{- if and (dig "keda" "enabled" false $it) (gt (int $it.keda.maxReplicas) (int $v.kafka.partitions)) }}
{{- $problems = append $problems (printf "components.%s.keda.maxReplicas=%v is more than kafka.partitions=%v: the rest would be idle" $name $it.keda.maxReplicas $v.kafka.partitions) }}
{{- end }}
{{- range $scaler := list "hpa" "keda" }}
{{- with get $it $scaler }}
{{- if gt (int .minReplicas) (int .maxReplicas) }}
{{- $problems = append $problems (printf "components.%s.%s: minReplicas=%v is more than maxReplicas=%v" $name $scaler .minReplicas .maxReplicas) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- if $problems }}
{{- fail (printf "\n* %s" (join "\n* " $problems)) }}
{{- end }}
{{- end }}
