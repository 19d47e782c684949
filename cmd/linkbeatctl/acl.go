package main

import (
	"errors"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/linkbeat/linkbeat/agent/operator"
	"github.com/linkbeat/linkbeat/cmd/internal/cli"
)

func newACL(env func(string) (string, bool)) *cobra.Command {
	var broker string
	var a operator.ACL
	cmd := &cobra.Command{
		Use: "acl --for " + strings.Join(operator.Brokers(), "|"), Short: "print the access rules that a gateway needs",
		Long: `Print the access rules that gateways need, in the format of a broker, with those of an operator as comments.
Without --id they are for all gateways, each under its own user name (aws: the name of its thing).

A gateway publishes under its own <id>/up and to its own probes, and subscribes to its own <id>/dn, to
<id>/up, to hear what arrived, and the documents of its groups. Its probes are connections of their own: client ids <id> and <id>-p1, <id>-p2, ….

Exit status: 0 done, 64 wrong use.`,
		Example: `  linkbeatctl acl --for mosquitto > /etc/mosquitto/linkbeat.acl
  linkbeatctl acl --for emqx --id gw-17 --user meters-17 --group north
  linkbeatctl acl --for aws --region eu-west-1 --account 123456789012 > policy.json`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if prefix, ok := env(envName("prefix")); ok && prefix != "" && !cmd.Flags().Changed("prefix") {
				a.Prefix = prefix
			}
			rules, notes, err := a.Rules(broker)
			if errors.Is(err, operator.ErrACL) {
				return cli.Usage(err)
			}
			if err != nil {
				return err
			}
			_, noted := io.WriteString(cmd.ErrOrStderr(), notes)
			_, err = io.WriteString(cmd.OutOrStdout(), rules)
			return errors.Join(err, noted)
		},
	}
	f := cmd.Flags()
	f.StringVar(&broker, "for", "", "the `broker`: "+strings.Join(operator.Brokers(), ", "))
	f.StringVar(&a.ID, "id", "", "one `gateway` (default: every one)")
	f.StringVarP(&a.User, "user", "u", "", "the user `name` of that gateway, if it is not its id")
	f.StringSliceVar(&a.Groups, "group", nil, "a fleet `group` whose documents may be read (default: any)")
	f.StringVarP(&a.Prefix, "prefix", "", "lb", "first `level` or levels of the fleet's topics [$"+envName("prefix")+"]")
	f.StringVar(&a.Region, "region", "", "aws: the `region`")
	f.StringVar(&a.Account, "account", "", "aws: the `number` of the account")
	_ = cmd.MarkFlagRequired("for") // there is such a flag
	cli.Fixed(cmd, "for", operator.Brokers()...)
	return cmd
}
