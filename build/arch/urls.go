package main

import (
	"fmt"
	"go/ast"
	"go/types"
	"path"
	"path/filepath"
	"slices"
)

// The type whose values never show a secret (its package says how), and the one of the standard library that shows everything.
const (
	shownURL = module + "transport/brokerurl.URL"
	plainURL = "net/url.URL"
)

// Revealed is a file that may have the whole of a URL in its hands, and why nobody sees it then.
type Revealed struct {
	File string // from the root; a folder is all of it
	Why  string
}

// RevealedBy lists every file that may.
func RevealedBy() []Revealed {
	return []Revealed{
		{"transport/brokerurl", "the room that shows a URL"},
		{"transport/netdial/proxy.go", "what the environment names becomes a brokerurl.URL at once"},
		{"transport/netdial/ws.go", "the library that asks for the WebSocket is told the query; its errors do not repeat it"},
		{"transport/rank.go", "hashed: the order of equal servers must not change with this version"},
		{"config/check_uplink.go", "judges it, and never quotes it"},
		{"config/resolve.go", "looks at its scheme"},
		{"config/effective.go", "compares two documents; what is shown is String"},
		{"agent/diag/diag.go", "compares it with what a person gave"},
		{"agent/diag/redact.go", "has to know what to take out of a bundle"},
		{"agent/operator/options.go", "completes the scheme"},
		{"agent/probe/options.go", "completes the scheme, and compares it with what completion offers"},
		{"cmd/linkbeatctl/broker.go", "a flag is written into it"},
	}
}

// URLsShown finds in every package below root who shows a URL in another way than its own type: by a conversion of a
// brokerurl.URL, by its Reveal, or by printing one of net/url. Tests and tools are left out, and so is what the list allows; an
// entry of that which nobody needs is a finding too.
func URLsShown(root string, allowed []Revealed) ([]string, error) {
	var found []string
	used := map[string]bool{}
	err := eachChecked(root, func(c checked) {
		if anyWithin(c.folder, Outside()) {
			return
		}
		for i, f := range c.files {
			file := path.Join(c.folder, filepath.Base(c.names[i]))
			at := slices.IndexFunc(allowed, func(r Revealed) bool { return within(file, r.File) })
			for _, place := range c.urlsShown(f) {
				if at >= 0 {
					used[allowed[at].File] = true
					continue
				}
				found = append(found, fmt.Sprintf("%s:%s: print a brokerurl.URL as it is, or its Name(); it may "+
					"hold a login or a token", file, place))
			}
		}
	})
	for _, r := range allowed {
		if !used[r.File] {
			found = append(found, r.File+" reveals no URL: take it out of urls.go")
		}
	}
	slices.Sort(found)
	return found, err
}

// urlsShown are the places in a file, as line and what is done there.
func (c checked) urlsShown(f *ast.File) (places []string) {
	add := func(n ast.Node, what string) {
		places = append(places, fmt.Sprintf("%d: %s", c.fset.Position(n.Pos()).Line, what))
	}
	plainShows := []string{"String", "Redacted", "RequestURI", "MarshalBinary", "AppendBinary"}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			if c.info.Types[n.Fun].IsType() {
				if len(n.Args) == 1 && c.is(n.Args[0], shownURL) && !named(c.info.Types[n.Fun].Type, shownURL) {
					add(n, "a conversion shows it")
				}
				return true
			}
			for _, a := range n.Args {
				if c.is(a, plainURL) && c.prints(n.Fun) {
					add(a, "a net/url.URL is printed")
				}
			}
		case *ast.SelectorExpr:
			s := c.info.Selections[n]
			switch {
			case s == nil:
			case n.Sel.Name == "Reveal" && named(s.Recv(), shownURL):
				add(n, "Reveal")
			case named(s.Recv(), plainURL) && slices.Contains(plainShows, n.Sel.Name):
				add(n, "net/url's "+n.Sel.Name)
			}
		}
		return true
	})
	return places
}

// is tells whether an expression has the named type, or is a pointer to it.
func (c checked) is(e ast.Expr, name string) bool { return named(c.info.Types[e].Type, name) }

func named(t types.Type, name string) bool {
	if p, ok := types.Unalias(t).(*types.Pointer); t != nil && ok {
		t = p.Elem()
	}
	n, ok := types.Unalias(t).(*types.Named)
	return ok && n.Obj().Pkg() != nil && n.Obj().Pkg().Path()+"."+n.Obj().Name() == name
}

// prints tells whether a function takes anything, as those do that print.
func (c checked) prints(fun ast.Expr) bool {
	s, ok := c.info.Types[fun].Type.(*types.Signature)
	if !ok {
		return false
	}
	for p := range s.Params().Variables() {
		t := p.Type()
		if slice, ok := t.(*types.Slice); ok {
			t = slice.Elem()
		}
		if types.IsInterface(t) {
			return true
		}
	}
	return false
}
