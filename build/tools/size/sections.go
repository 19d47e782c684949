package size

import (
	"debug/elf"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// pageMost is the largest page of an ARM kernel, in bytes: a segment that is aligned to less cannot be mapped there.
const pageMost = 64 << 10

// Alignment is the least alignment of the segments of an ELF file that are loaded.
func Alignment(path string) (least uint64, err error) {
	f, err := elf.Open(path)
	if err != nil {
		return 0, fmt.Errorf("segments: %w", err)
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_LOAD && (least == 0 || p.Align < least) {
			least = p.Align
		}
	}
	return least, nil
}

// Aligned is nil when a kernel with any size of pages that ARM has can load the file.
func Aligned(path string) error {
	least, err := Alignment(path)
	if err != nil {
		return err
	}
	if least < pageMost {
		return fmt.Errorf("%s: a segment is aligned to %d bytes, and ARM kernels may have pages of %d", path, least, pageMost)
	}
	return nil
}

// Sections are bytes of sections that are loaded from the file, by group; .bss is none of them.
type Sections map[string]int64

// Sum of all groups.
func (s Sections) Sum() (n int64) {
	for _, v := range s {
		n += v
	}
	return n
}

// Groups in the order of their weight, the heaviest first.
func (s Sections) Groups() []string {
	return slices.SortedFunc(maps.Keys(s), func(a, b string) int { return int(s[b] - s[a]) })
}

// Groups that belong to no package.
const (
	functionTables = "tables of functions"
	typesStrings   = "types, strings, tables of the linker"
	others         = "rest"
)

// groups are prefixes of package paths, the first that fits; a path is one of a prefix when it is it, or lies below.
func groups() [][]string {
	const ours = "github.com/linkbeat/linkbeat/"
	return [][]string{
		{"agent", ours + "agent"}, {"transport", ours + "transport"}, {"firmware-bridge", ours + "firmware-bridge"},
		{"config", ours + "config"}, {"cmd", "main", ours + "cmd", "github.com/spf13"},
		{"paho, websocket", "github.com/eclipse", "github.com/gorilla", "golang.org/x/net"},
		{"zerolog", "github.com/rs"}, {"go.bug.st/serial", "go.bug.st", "github.com/creack"}, {"yaml", "go.yaml.in"},
		{"net/http", "net/http", "net/textproto", "net/url", "mime", "compress", "vendor/golang.org/x/net/http"},
		{"crypto", "crypto", "vendor/golang.org/x/crypto", "math/big", "encoding/asn1", "encoding/pem", "hash"},
		{"net", "net", "vendor/golang.org/x/net", "vendor/golang.org/x/text"}, {"runtime", "runtime", "internal", "sync",
			"syscall", "os", "reflect", "time", "unicode", "golang.org/x/sys"}, {"encoding, text, strings", "encoding", "fmt",
			"strconv", "strings", "bytes", "bufio", "regexp", "text", "slices", "maps", "sort", "io", "errors", "context", "path",
			"math", "archive", "log", "flag", "unique", "iter", "cmp", "container", "bisect", "weak"},
	}
}

// groupOf is the group of a symbol.
func groupOf(symbol string) string {
	if strings.HasPrefix(symbol, "go:") || strings.HasPrefix(symbol, "type:") {
		return typesStrings
	}
	pkg := packageOf(symbol)
	for _, g := range groups() {
		for _, prefix := range g[1:] {
			if pkg == prefix || strings.HasPrefix(pkg, prefix+"/") {
				return g[0]
			}
		}
	}
	return others
}

// packageOf is the path before the first dot of the last element, without type arguments and receivers.
// Dots in a path are escaped.
func packageOf(symbol string) string {
	if i := strings.IndexAny(symbol, "(["); i > 0 {
		symbol = symbol[:i]
	}
	slash := strings.LastIndexByte(symbol, '/') + 1
	if dot := strings.IndexByte(symbol[slash:], '.'); dot >= 0 {
		symbol = symbol[:slash+dot]
	}
	return strings.ReplaceAll(symbol, "%2e", ".")
}

// ReadSections weighs an executable with its symbols. What no symbol owns is with the types and strings,
// which have none of their own.
func ReadSections(r io.ReaderAt) (Sections, error) {
	f, err := elf.NewFile(r)
	if err != nil {
		return nil, fmt.Errorf("sections: %w", err)
	}
	all, owned := Sections{}, make([]int64, len(f.Sections))
	symbols, err := f.Symbols()
	if err != nil {
		return nil, fmt.Errorf("sections: symbols: %w", err)
	}
	for _, s := range symbols {
		i := int(s.Section)
		if i == 0 || i >= len(f.Sections) || !loaded(f.Sections[i]) || f.Sections[i].Name == ".gopclntab" {
			continue
		}
		all[groupOf(s.Name)] += int64(s.Size)
		owned[i] += int64(s.Size)
	}
	for i, s := range f.Sections {
		switch {
		case !loaded(s):
		case s.Name == ".gopclntab":
			all[functionTables] += int64(s.Size)
		default:
			all[typesStrings] += int64(s.Size) - owned[i]
		}
	}
	return all, nil
}

// loaded tells a section that is loaded from the file.
func loaded(s *elf.Section) bool { return s.Flags&elf.SHF_ALLOC != 0 && s.Type != elf.SHT_NOBITS }
