package cli

import (
	"io"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/linkbeat/linkbeat/agent/printable"
)

// Version is what a program says of itself. What the linker was not told is empty.
type Version struct {
	Program   string `json:"program"`
	Version   string `json:"version"` // 1.2.3, or dev
	Commit    string `json:"commit"`
	BuildTime string `json:"built"`    // RFC 3339
	Go        string `json:"go"`       // go1.26.0
	Platform  string `json:"platform"` // linux/arm
}

// NewVersion returns the version of a program by what the linker has set in it.
func NewVersion(program, version, commit, buildTime string) Version {
	return Version{Program: program, Version: version, Commit: commit, BuildTime: buildTime,
		Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
}

// Built is BuildTime; zero when there is none.
func (v Version) Built() time.Time {
	t, err := time.Parse(time.RFC3339, v.BuildTime)
	if err != nil {
		return time.Time{}
	}
	return t
}

// String is the version in a line: "linkbeat 1.2.3 (commit 0123456789ab, built 2026-11-01T10:00:00Z, go1.26.0, linux/arm)".
func (v Version) String() string {
	var details []string
	if v.Commit != "" {
		details = append(details, "commit "+v.Commit)
	}
	if v.BuildTime != "" {
		details = append(details, "built "+v.BuildTime)
	}
	details = append(details, v.Go, v.Platform)
	return v.Program + " " + v.Version + " (" + strings.Join(details, ", ") + ")"
}

func (v Version) print(w io.Writer, asJSON bool) error {
	if asJSON {
		return printable.Encode(w, v, false)
	}
	return printable.Fprintf(w, "%s\n", v)
}

func newVersion(v Version) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "version", Short: "print the version",
		Long: `Print the version, the commit and the time it was built from, the Go release and the platform.

Exit status: 0 done, 64 wrong use.`,
		Example: "  " + v.Program + " version\n  " + v.Program + " version --json",
		RunE:    func(cmd *cobra.Command, _ []string) error { return v.print(cmd.OutOrStdout(), asJSON) },
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
