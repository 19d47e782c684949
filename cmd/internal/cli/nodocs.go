//go:build !docs

package cli

import "github.com/spf13/cobra"

// addDocs adds nothing: a program that is shipped does not carry the generator of its pages.
func addDocs(*cobra.Command, Version) {}
