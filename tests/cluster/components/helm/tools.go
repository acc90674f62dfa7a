//go:build tools

// Package tools names what tests/charts builds, so that `go mod tidy` keeps it in go.mod.
package tools

import _ "helm.sh/helm/v4/cmd/helm"
