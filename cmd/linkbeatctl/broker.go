package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/linkbeat/linkbeat/agent/operator"
	"github.com/linkbeat/linkbeat/cmd/internal/cli"
)

// envPrefix begins the names of our environment variables; the rest is the flag's name in capitals.
const envPrefix = "LINKBEATCTL_"

// broker holds the flags that say where the broker is and who we are.
type broker struct {
	env    func(string) (string, bool)
	o      operator.Options
	prefix string
	topics map[string]string
	names  []string // of the flags
}

// flags adds the flags to a command that speaks to a broker.
func (b *broker) flags(cmd *cobra.Command) {
	b.names = nil // those of each command are the same
	f := cmd.Flags()
	text := func(p *string, name, short, value, usage string) {
		b.names = append(b.names, name)
		f.StringVarP(p, name, short, value, usage+" [$"+envName(name)+"]")
	}
	text((*string)(&b.o.Server), "server", "s", "", "broker `URL`: mqtts://host:8883, wss://, mqtt://, ws://")
	f.BoolVar(&b.o.Insecure, "insecure", false, "send the login without TLS, readable on the way [$"+envName("insecure")+"]")
	b.names = append(b.names, "insecure")
	text(&b.o.Username, "user", "u", "", "user `name`")
	text(&b.o.PasswordFile, "password-file", "", "", "`file` that holds the password")
	text(&b.o.CAFile, "ca", "", "", "PEM `file` of the authority to trust instead of the system's")
	text(&b.o.CertFile, "cert", "", "", "PEM `file` of our certificate")
	text(&b.o.KeyFile, "key", "", "", "PEM `file` of its key")
	text(&b.o.ClientID, "client-id", "", "", "client `id`, if the broker's rules ask for one (default random)")
	text(&b.prefix, "prefix", "", "lb", "first `level` or levels of the fleet's topics")
	f.StringToStringVar(&b.topics, "topic", nil,
		"a topic `name=template` that differs: state, info, data, reply, cmd [$"+envName("topic")+"]")
	b.names = append(b.names, "topic")
	cli.Files(cmd, []string{"pem", "crt", "key"}, "ca", "cert", "key")
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) error { return b.fillIn(cmd) }
}

func envName(flag string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// fillIn takes what the command line left open from the environment, and builds the topics.
func (b *broker) fillIn(cmd *cobra.Command) (err error) {
	for _, name := range b.names {
		value, ok := b.env(envName(name))
		if !ok || value == "" || cmd.Flags().Changed(name) {
			continue
		}
		if err := cmd.Flags().Set(name, value); err != nil {
			return fmt.Errorf("%s: %w", envName(name), err)
		}
	}
	b.o.Password, _ = b.env(envPrefix + "PASSWORD")
	if (b.o.CertFile == "") != (b.o.KeyFile == "") {
		return cli.Usagef("--cert and --key go together: name both")
	}
	b.o.Topics, err = operator.TopicsFrom(b.prefix, b.topics)
	return err
}
