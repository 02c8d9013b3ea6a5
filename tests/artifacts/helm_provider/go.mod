module tailrace/helm-provider

go 1.16

require (
	github.com/hashicorp/terraform-plugin-sdk v1.9.1
	github.com/hashicorp/terraform-provider-helm v1.3.2
)

// As the provider's own go.mod has it.
replace github.com/Azure/go-autorest => github.com/Azure/go-autorest v13.3.3+incompatible

// The host of this module's name is gone; this is where its code is.
replace vbom.ml/util => github.com/fvbommel/util v0.0.0-20160121211510-db5cfe13f5cc
