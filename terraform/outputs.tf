output "predictor_url" {
  description = "Where predictions are asked for, within the cluster."
  # The chart leaves its own name out where the release's name has it.
  value = format(
    "http://%s-predictor.%s.svc",
    strcontains(var.name, "tailrace") ? var.name : "${var.name}-tailrace",
    var.namespace,
  )
}

output "release" {
  description = "Name of the release, for `helm test`."
  value       = helm_release.tailrace.name
}
