variable "name" {
  description = "Name of the release."
  type        = string
  default     = "tailrace"

  validation {
    condition     = can(regex("^[a-z]([a-z0-9-]{0,27}[a-z0-9])?$", var.name))
    error_message = "name: lower-case letters, digits and dashes, a letter first, at most 29."
  }
}

variable "namespace" {
  description = "Namespace of the release; it is made when it is missing."
  type        = string
  default     = "tailrace"

  validation {
    condition     = can(regex("^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", var.namespace))
    error_message = "namespace: lower-case letters, digits and dashes, at most 63."
  }
}

variable "chart" {
  description = "The chart: a folder, or an oci:// address."
  type        = string
  default     = null
}

variable "chart_version" {
  description = "Version of the chart, for an oci:// address."
  type        = string
  default     = null

  validation {
    condition     = var.chart_version == null || can(regex("^[0-9]+\\.[0-9]+\\.[0-9]+", var.chart_version))
    error_message = "chart_version: a whole version such as 0.1.0, and no range, so that a plan says what comes."
  }
}

variable "kafka_bootstrap_servers" {
  description = "Comma-separated host:port of some brokers."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9._-]+:[0-9]+(,[A-Za-z0-9._-]+:[0-9]+)*$", var.kafka_bootstrap_servers))
    error_message = "kafka_bootstrap_servers: host:port, or several with commas between."
  }
}

variable "redis_secret" {
  description = "Name of the Secret with the key url; the URL itself would end in Terraform's state."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$", var.redis_secret))
    error_message = "redis_secret: the name of a Secret, and not the URL."
  }
}

variable "mlflow_url" {
  description = "URL of the MLflow server."
  type        = string

  validation {
    condition     = can(regex("^https?://[^/]+", var.mlflow_url))
    error_message = "mlflow_url: it begins with http:// or https://."
  }
}

variable "bucket" {
  description = "S3 bucket of the lake and of Feast's registry."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", var.bucket))
    error_message = "bucket: the bare name, without s3://."
  }
}

variable "values" {
  description = "Further values of the chart, which win over those that this module sets."
  type        = any
  default     = {}
}

variable "timeout_seconds" {
  description = "Time until all pods have to be ready; otherwise the release goes back."
  type        = number
  default     = 600

  validation {
    condition     = var.timeout_seconds >= 60
    error_message = "timeout_seconds: at least 60, since the predictor loads models first."
  }
}
