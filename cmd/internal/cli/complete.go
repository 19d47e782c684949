package cli

import "github.com/spf13/cobra"

// Completion is the type of a command's ValidArgsFunction, and of what completes a flag.
type Completion = func(cmd *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective)

// Nth completes argument i by the i-th func, and no further ones. Each is given the arguments before its own; nil completes
// nothing.
func Nth(funcs ...func(cmd *cobra.Command, args []string) []string) Completion {
	return func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) < len(funcs) && funcs[len(args)] != nil {
			return funcs[len(args)](cmd, args), cobra.ShellCompDirectiveNoFileComp
		}
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
}

// Values completes the value of a flag by f. The flag must be there.
func Values(cmd *cobra.Command, flag string, f func(cmd *cobra.Command, args []string) []string) {
	_ = cmd.RegisterFlagCompletionFunc(flag, func(cmd *cobra.Command, args []string,
		_ string) ([]string, cobra.ShellCompDirective) {
		return f(cmd, args), cobra.ShellCompDirectiveNoFileComp
	})
}

// Fixed completes the value of a flag by known ones. The flag must be there.
func Fixed(cmd *cobra.Command, flag string, values ...string) {
	Values(cmd, flag, func(*cobra.Command, []string) []string { return values })
}

// Files completes the values of flags by files with these extensions.
func Files(cmd *cobra.Command, extensions []string, flags ...string) {
	for _, flag := range flags {
		_ = cmd.MarkFlagFilename(flag, extensions...)
	}
}
