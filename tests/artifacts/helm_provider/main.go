// The Helm provider for Terraform, so that the module can be validated where no registry of
// providers can be reached. Later versions than 1.3 are not to be had as a Go module.
package main

import (
	"github.com/hashicorp/terraform-plugin-sdk/plugin"
	"github.com/hashicorp/terraform-provider-helm/helm"
)

func main() {
	plugin.Serve(&plugin.ServeOpts{ProviderFunc: helm.Provider})
}
