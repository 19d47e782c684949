package config

import (
	"fmt"
	"path"
	"reflect"
	"slices"
	"strings"
)

// checker checks a whole document: what cannot be seen in one field alone. It reports through the decoder, which knows where
// every key stands.
type checker struct {
	*decoder
	doc     *Document
	options ParseOptions
}

func check(d *decoder, doc *Document, o ParseOptions) {
	c := &checker{d, doc, o}
	c.checkDevice()
	c.checkUplink()
	c.checkTopics()
	c.checkHeartbeat()
	c.checkSerial()
	c.checkSpool()
	c.checkRest()
	checkOwnFile(d, o)
}

// bad reports a fault at path, unless the decoder found one there or above: then the value is the default, which is not at fault.
func (c *checker) bad(path, format string, args ...any) {
	if !c.faulted(path) {
		c.fault(c.where(path), format, args...)
	}
}

// odd reports a warning at path, as bad does a fault.
func (c *checker) odd(path, format string, args ...any) {
	if !c.faulted(path) {
		c.warn(c.where(path), format, args...)
	}
}

// set is true when the file or a variable sets path.
func (c *checker) set(path string) bool { return c.positions[path] != nil }

// where is path with its own position, or that of the nearest section around it.
func (c *checker) where(path string) at {
	for p := path; ; p = parent(p) {
		if pos := c.positions[p]; pos != nil || p == "" {
			return at{path: path, pos: pos}
		}
	}
}

// parent is the path of the section or list around path; "" at the top.
func parent(path string) string {
	if strings.HasSuffix(path, `"`) { // a quoted name may hold anything
		if i := strings.LastIndex(path[:len(path)-1], `"`); i > 0 {
			return strings.TrimSuffix(path[:i], ".")
		}
	}
	return path[:max(0, strings.LastIndexAny(path, ".["))]
}

func (c *checker) checkDevice() {
	id := c.doc.Device.ID
	switch left := strings.NewReplacer("{hostname}", "h", "{mac6}", "m").Replace(id); {
	case strings.ContainsAny(left, "{}"):
		c.bad("device.id", "holds a placeholder that is none of {hostname} and {mac6}")
	default:
		if err := checkLevel(left); err != nil {
			c.bad("device.id", "%s", err)
		}
	}
	seen := map[string]bool{}
	for i, group := range c.doc.Device.Groups {
		path := fmt.Sprintf("device.groups[%d]", i)
		if err := checkLevel(group); err != nil {
			c.bad(path, "%s", err)
		} else if seen[group] {
			c.bad(path, "names the group %q again", group)
		}
		seen[group] = true
	}
	for _, name := range sortedKeys(c.doc.Device.Facts) {
		c.checkCommand(join("device.facts", name), c.doc.Device.Facts[name])
	}
	c.absolute("state_dir", c.doc.StateDir)
}

func (c *checker) checkCommand(path string, f Fact) {
	if len(f.Command) == 0 {
		c.bad(path+".command", "is missing: name the program and its arguments, such as [mmcli, -m, any]")
	}
	if f.Every != 0 && f.Every < 10*second {
		c.bad(path+".every", "must be at least 10s: a command may take that long")
	}
}

// absolute wants a clean absolute path.
func (c *checker) absolute(key, value string) bool {
	if !path.IsAbs(value) || strings.ContainsRune(value, 0) {
		c.bad(key, "must be an absolute path, such as /var/lib/linkbeat")
		return false
	}
	return true
}

// maxLevel bounds what stands for one level of a topic, in bytes.
const maxLevel = 128

// checkLevel says why s cannot be one level of a topic: MQTT 3.1.1, 4.7. Spaces are refused too, as tools stumble over them.
func checkLevel(s string) error {
	switch i := strings.IndexAny(s, "/+#$ \t\r\n\x00"); {
	case s == "":
		return fmt.Errorf("must not be empty")
	case i >= 0:
		return fmt.Errorf("holds %q, which a topic level must not: leave out / + # $ and spaces", s[i])
	case len(s) > maxLevel:
		return fmt.Errorf("has %d bytes, at most %d", len(s), maxLevel)
	}
	return nil
}

func (c *checker) checkSpool() {
	s := c.doc.Spool
	if !s.MaxBytes.Auto && s.MaxBytes.Bytes < 64*kib {
		c.bad("spool.max_bytes", "must be auto or at least 64KiB: the spool is cut in segments")
	}
	if !s.MaxBytes.Auto && s.MaxBytes.Bytes < c.doc.Uplink.MaxPayload {
		c.odd("spool.max_bytes", "is less than uplink.max_payload (%s): the largest payloads will not fit",
			c.doc.Uplink.MaxPayload)
	}
	if s.Sync > Sync(60*minute) {
		c.bad("spool.sync", "must be always or at most 1h")
	}
	rest := strings.TrimPrefix(s.Dir, "{state_dir}")
	if strings.ContainsAny(rest, "{}") || rest != s.Dir && rest != "" && rest[0] != '/' {
		c.bad("spool.dir", "may start with {state_dir}/ and holds no other placeholder")
	} else if rest == s.Dir {
		c.absolute("spool.dir", s.Dir)
	}
}

func (c *checker) checkRest() {
	if e := c.doc.Stats.Every; e != 0 && e < second {
		c.bad("stats.every", "must be at least 1s, or 0s for never")
	}
	c.checkListen(c.doc.HTTP.Listen)
	sections := keysOf(reflect.TypeFor[Document]())
	for i, s := range c.doc.Fleet.Accept {
		if !slices.Contains(sections, s) {
			c.bad(fmt.Sprintf("fleet.accept[%d]", i), "names no section of this document%s", didYouMean(s, sections))
		}
	}
	for i, k := range c.doc.Fleet.TrustedKeys {
		if k == "" {
			c.bad(fmt.Sprintf("fleet.trusted_keys[%d]", i), "must not be empty")
		}
	}
}
