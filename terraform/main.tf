# The release, and nothing beside it: stores and Secrets have lives of their own. The provider is
# configured by the caller.
resource "helm_release" "tailrace" {
  name             = var.name
  namespace        = var.namespace
  create_namespace = true
  chart            = coalesce(var.chart, "${path.module}/../helm/tailrace")
  version          = var.chart_version

  # A release that does not get ready leaves no half of itself behind.
  atomic  = true
  wait    = true
  timeout = var.timeout_seconds

  # Later ones win, key by key, as with several files of values.
  values = [
    yamlencode({
      kafka  = { bootstrapServers = var.kafka_bootstrap_servers }
      redis  = { urlSecret = { name = var.redis_secret } }
      mlflow = { url = var.mlflow_url }
      lake   = { uri = "s3://${var.bucket}/lake" }
      feast  = { repo = "s3://${var.bucket}/feast" }
    }),
    yamlencode(var.values),
  ]
}
