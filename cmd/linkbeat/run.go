package main

import (
	"context"
	"errors"
	"io"
	"maps"
	"os"
	"os/signal"
	"syscall"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/linkbeat/linkbeat/agent"
	"github.com/linkbeat/linkbeat/agent/printable"
	"github.com/linkbeat/linkbeat/agent/statuspage"
	"github.com/linkbeat/linkbeat/config"
)

func newRun() *cobra.Command {
	return &cobra.Command{
		Use: "run", Short: "run the agent",
		Long: `Run the agent until SIGTERM or SIGINT. SIGHUP reads the configuration again, after checking it.

With a bad configuration the last good one runs, and status says so; a fault in one serial
device disables only that device.

Exit status: 0 stopped by a signal, 1 failed, 64 wrong use, 78 no usable uplink in any configuration.`,
		Example: `  linkbeat run -c ./linkbeat.yaml
  LINKBEAT_UPLINK_SERVERS=mqtts://broker.example.net:8883 linkbeat run`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			file, err := cmd.Flags().GetString("config")
			if err != nil {
				return err
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGTERM, syscall.SIGINT)
			defer stop()
			err = agent.New(agent.Options{
				Version: version, Built: programVersion().Built(), Log: logWriter(os.Stderr),
				Runtime: os.Getenv("RUNTIME_DIRECTORY"),
				Load:    func() (config.Booted, error) { return config.Boot(bootOptions(file)) },
			}).Run(ctx, hangups(ctx))
			if errors.Is(err, config.ErrNoUplink) {
				return exitError{exitConfig, err}
			}
			return err
		},
	}
}

// hangups turns SIGHUP into a signal to reload; several at once are one.
func hangups(ctx context.Context) <-chan struct{} {
	signals, reload := make(chan os.Signal, 1), make(chan struct{}, 1)
	signal.Notify(signals, syscall.SIGHUP)
	go func() {
		defer signal.Stop(signals)
		for {
			select {
			case <-ctx.Done():
				return
			case <-signals:
			}
			select {
			case reload <- struct{}{}:
			default:
			}
		}
	}()
	return reload
}

// logWriter is JSON lines for a service manager, and readable lines for a person at a terminal.
func logWriter(f *os.File) io.Writer {
	info, err := f.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return f
	}
	return zerolog.ConsoleWriter{Out: f, TimeFormat: "15:04:05.000", FormatPrepare: prepare}
}

// prepare makes a line printable again, since the console writer takes apart what JSON had escaped, and quotes but half of it.
func prepare(line map[string]any) error {
	shown := line
	printable.Deep(&shown, statuspage.MaxText)
	clear(line)
	maps.Copy(line, shown)
	return nil
}
