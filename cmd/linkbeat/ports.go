package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

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
				return json.NewEncoder(out).Encode(ports)
			}
			if len(ports) == 0 {
				fmt.Fprintln(cmd.ErrOrStderr(),
					"no serial ports: is the adapter plugged in, and its driver loaded (dmesg | tail)?")
				return nil
			}
			return printPorts(tabwriter.NewWriter(out, 0, 0, 2, ' ', 0), ports)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().StringVar(&sys, "sys", "/sys", "where sysfs is mounted, such as /host/sys in a container")
	return cmd
}

func printPorts(w *tabwriter.Writer, ports []discover.PortInfo) error {
	fmt.Fprintln(w, "PORT\tDRIVER\tUSB\tSERIAL\tWHAT\tIN USE BY\tBY PATH\tCONFIG")
	for _, p := range ports {
		usb := discover.USBInfo{Vendor: "-", Product: "-"}
		if p.USB != nil {
			usb = *p.USB
		}
		fmt.Fprintf(w, "%s\t%s\t%s:%s\t%s\t%s\t%s\t%s\t%s\n", p.Path, orDash(p.Driver), usb.Vendor,
			usb.Product, orDash(usb.Serial), orDash(usb.Manufacturer+" "+usb.Description), orDash(p.InUse),
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
