package main

import (
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/linkbeat/linkbeat/agent/printable"
	"github.com/linkbeat/linkbeat/firmware-bridge/discover"
)

func newPorts() *cobra.Command {
	var asJSON bool
	var sys string
	cmd := &cobra.Command{
		Use: "ports", Short: "list serial ports, without opening one",
		Long: `List the serial ports of this machine, read from /sys. No port is opened: opening one resets a
port that is in use. CONFIG is the line of configuration that picks this port again, whatever
number it gets: a serial number goes with the device, a path stays with the socket. IN USE BY is
the program that has a port open, as far as the user may see it; root sees all.

Exit status: 0 done, also without a port; 1 /sys cannot be read; 64 wrong use.`,
		Example: "  linkbeat ports\n  linkbeat ports --json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			ports, err := discover.Ports(os.DirFS(sys))
			if err != nil {
				return err
			}
			discover.Holders(ports)
			out := cmd.OutOrStdout()
			if asJSON {
				return printable.Encode(out, ports, false)
			}
			if len(ports) == 0 {
				return printable.Fprintf(cmd.ErrOrStderr(),
					"no serial ports: is the adapter plugged in, and its driver loaded (dmesg | tail)?\n")
			}
			return printPorts(printable.NewTable(out), ports)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().StringVar(&sys, "sys", "/sys", "where sysfs is mounted, such as /host/sys in a container")
	return cmd
}

func printPorts(w printable.Table, ports []discover.PortInfo) error {
	w.Row("PORT", "DRIVER", "USB", "SERIAL", "WHAT", "IN USE BY", "BY PATH", "CONFIG")
	for _, p := range ports {
		usb := discover.USBInfo{Vendor: "-", Product: "-"}
		if p.USB != nil {
			usb = *p.USB
		}
		w.Row(p.Path, orDash(p.Driver), usb.Vendor+":"+usb.Product, orDash(usb.Serial),
			orDash(usb.Manufacturer+" "+usb.Description), orDash(p.InUse),
			orDash(strings.TrimPrefix(p.ByPath, "/dev/serial/by-path/")), p.Config)
	}
	return w.Flush()
}

func orDash(s string) string {
	if strings.TrimSpace(s) == "" {
		return "-"
	}
	return s
}
