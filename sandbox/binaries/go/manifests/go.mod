// Nothing is compiled here: these modules carry the custom resource definitions of the add-ons that the stacks use.
module sandbox/manifests

go 1.26

require (
	github.com/aws/karpenter-provider-aws v1.14.1
	github.com/cert-manager/cert-manager v1.21.2
	github.com/kedacore/keda/v2 v2.20.2
	github.com/prometheus-operator/prometheus-operator v0.85.0
	github.com/traefik/traefik/v3 v3.6.12
)
