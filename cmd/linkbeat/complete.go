package main

import (
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"github.com/linkbeat/linkbeat/config"
)

// What completion offers is read from the configuration; without a usable one there is nothing.

// configured is the document that run would take; nil: there is none.
func configured(cmd *cobra.Command) *config.Document {
	file, err := cmd.Flags().GetString("config")
	if err != nil {
		return nil
	}
	booted, err := config.Boot(bootOptions(file))
	if err != nil {
		return nil
	}
	return booted.Document
}

// serversOf lists the URLs of uplink.servers.
func serversOf(cmd *cobra.Command, _ []string) (urls []string) {
	if doc := configured(cmd); doc != nil {
		for _, s := range doc.Uplink.Servers {
			urls = append(urls, s.URL.Name())
		}
	}
	return urls
}

// devicesOf lists the names under serial, sorted.
func devicesOf(cmd *cobra.Command, _ []string) []string {
	if doc := configured(cmd); doc != nil {
		return slices.Sorted(maps.Keys(doc.Serial))
	}
	return nil
}
