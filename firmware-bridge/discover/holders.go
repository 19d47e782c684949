package discover

import "github.com/linkbeat/linkbeat/firmware-bridge/serialport"

// Holders fills in who has which port open, as far as /proc shows it to us: one look at every process.
func Holders(ports []PortInfo) {
	paths := make([]string, len(ports))
	for i, p := range ports {
		paths[i] = p.Path
	}
	for i, who := range serialport.Holders(paths) {
		if ports[i].InUse == "" {
			ports[i].InUse = who
		}
	}
}
