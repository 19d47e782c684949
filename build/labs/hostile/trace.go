package hostile

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// traced are the system calls by which a program changes a directory, and those that write to anything else.
const traced = "openat,mkdirat,renameat,renameat2,unlinkat,linkat,symlinkat,write,pwrite64,writev,pwritev,ftruncate,fallocate," +
	"fsync,fdatasync,sync_file_range"

// call is one system call that strace has seen end, with success.
type call struct {
	at   time.Time // when it began
	name string
	args []string // as strace writes them, strings decoded, descriptors as <path>
	ret  int64
}

// readTrace reads what strace -f -ttt -y -xx wrote, in the order in which the calls ended. A call that never ended is none.
func readTrace(path string) (calls []call, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 64<<20)
	begun := map[string]string{} // by thread: what stands before <unfinished ...>
	for lines.Scan() {
		thread, rest, _ := strings.Cut(lines.Text(), " ")
		rest = strings.TrimLeft(rest, " ")
		stamp, text, _ := strings.Cut(rest, " ")
		if before, ok := strings.CutSuffix(text, " <unfinished ...>"); ok {
			begun[thread] = stamp + " " + before
			continue
		}
		if strings.HasPrefix(text, "<... ") {
			_, after, _ := strings.Cut(text, " resumed>")
			stamp, text, _ = strings.Cut(begun[thread]+after, " ")
		}
		if c, ok := parseCall(stamp, text); ok {
			calls = append(calls, c)
		}
	}
	return calls, lines.Err()
}

func parseCall(stamp, text string) (c call, ok bool) {
	name, rest, ok := strings.Cut(text, "(")
	if !ok || strings.Contains(name, " ") {
		return c, false
	}
	end := strings.LastIndex(rest, ") ")
	if end < 0 {
		return c, false
	}
	_, result, ok := strings.Cut(rest[end:], "= ")
	if !ok {
		return c, false
	}
	number := strings.FieldsFunc(result, func(r rune) bool { return r == ' ' || r == '<' })
	if len(number) == 0 {
		return c, false
	}
	ret, err := strconv.ParseInt(number[0], 0, 64)
	if err != nil || ret < 0 {
		return c, false
	}
	seconds, err := strconv.ParseFloat(stamp, 64)
	if err != nil {
		return c, false
	}
	return call{at: time.Unix(0, int64(seconds*1e9)), name: name, args: arguments(rest[:end]), ret: ret}, true
}

// arguments splits at commas outside of strings and of descriptors' paths.
func arguments(s string) (args []string) {
	var b strings.Builder
	in := false
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '"':
			in = !in
		case s[i] == '\\' && i+3 < len(s) && s[i+1] == 'x':
			n, err := strconv.ParseUint(s[i+2:i+4], 16, 8)
			if err != nil {
				continue
			}
			b.WriteByte(byte(n))
			i += 3
		case s[i] == ',' && !in:
			args = append(args, b.String())
			b.Reset()
			for i+1 < len(s) && s[i+1] == ' ' {
				i++
			}
		default:
			b.WriteByte(s[i])
		}
	}
	return append(args, b.String())
}

// descriptor is the number and the path of 5</tmp/x>.
func descriptor(arg string) (number int64, path string) {
	n, path, _ := strings.Cut(arg, "<")
	number, err := strconv.ParseInt(n, 10, 64)
	if err != nil {
		number = -1
	}
	return number, strings.TrimSuffix(path, ">")
}

// named is the path of what stands under name in the directory of a descriptor.
func named(dir, name string) string {
	if filepath.IsAbs(name) {
		return filepath.Clean(name)
	}
	_, path := descriptor(dir)
	return filepath.Join(path, name)
}

// step is one change of the state directory, or one write to the device.
type step struct {
	at   time.Time
	do   func(d *disk)
	says string // to the device
	what string
	same bool // the disk is as before: no prefix of its own
}

// steps are the calls that change root, and what is written to pseudo-terminals.
func steps(calls []call, root string) (all []step, err error) {
	open := map[int64]string{} // descriptors of ours, by number: the path as it was opened
	inside := func(path string) bool { return path == root || strings.HasPrefix(path, root+"/") }
	rel := func(path string) string { r, _ := filepath.Rel(root, path); return r }
	for _, c := range calls {
		add := func(do func(*disk)) {
			all = append(all, step{at: c.at, do: do, what: fmt.Sprintf("%s %.80q", c.name, c.args),
				same: c.name == "openat" && !strings.Contains(c.args[2], "O_CREAT") && !strings.Contains(c.args[2], "O_TRUNC")})
		}
		switch c.name {
		case "openat":
			path := named(c.args[0], c.args[1])
			delete(open, c.ret)
			if !inside(path) {
				continue
			}
			open[c.ret] = path
			fd, flags := c.ret, c.args[2]
			add(func(d *disk) {
				d.open(fd, rel(path), strings.Contains(flags, "O_CREAT"), strings.Contains(flags, "O_TRUNC"),
					strings.Contains(flags, "O_APPEND"))
			})
		case "mkdirat":
			if path := named(c.args[0], c.args[1]); inside(path) {
				add(func(d *disk) { d.mkdir(rel(path)) })
			}
		case "renameat", "renameat2":
			from, to := named(c.args[0], c.args[1]), named(c.args[2], c.args[3])
			if inside(from) && inside(to) {
				add(func(d *disk) { d.rename(rel(from), rel(to)) })
			}
		case "unlinkat":
			if path := named(c.args[0], c.args[1]); inside(path) {
				add(func(d *disk) { d.remove(rel(path)) })
			}
		case "write", "pwrite64", "ftruncate", "fsync", "fdatasync":
			fd, path := descriptor(c.args[0])
			if strings.HasPrefix(path, "/dev/pts/") && c.name == "write" {
				all = append(all, step{at: c.at, says: c.args[1], what: "to the device"})
			}
			if _, ours := open[fd]; ours && inside(strings.TrimSuffix(path, " (deleted)")) {
				add(change(c, fd))
			}
		default:
			if len(c.args) > 0 {
				if _, path := descriptor(c.args[0]); inside(path) {
					return nil, fmt.Errorf("%s(%.60q): this model of a disk does not know it", c.name, c.args)
				}
			}
		}
	}
	return all, nil
}

func change(c call, fd int64) func(*disk) {
	switch c.name {
	case "write":
		return func(d *disk) { d.write(fd, []byte(c.args[1][:c.ret]), -1) }
	case "pwrite64":
		off, _ := strconv.ParseInt(c.args[3], 0, 64)
		return func(d *disk) { d.write(fd, []byte(c.args[1][:c.ret]), off) }
	case "ftruncate":
		size, _ := strconv.ParseInt(c.args[1], 0, 64)
		return func(d *disk) { d.truncate(fd, size) }
	}
	return func(d *disk) { d.sync(fd) }
}
