package main

import (
	"cmp"
	"go/ast"
	"maps"
	"path"
	"slices"
)

// Room is what was measured of one package, its tests left out.
type Room struct {
	Package  string `json:"package"` // its folder, slashes, from the root
	Files    int    `json:"files"`
	Lines    int    `json:"lines"`
	Types    []Type `json:"types"` // the one with most methods first
	Function Extent `json:"longest_function"`
	File     Extent `json:"longest_file"`
	Arrows   Arrows `json:"arrows"`
}

// Type is a type and its size. Fields and Lines are those of a struct, and 0 for others.
type Type struct {
	Name    string `json:"name"`
	Methods int    `json:"methods"`
	Fields  int    `json:"fields"`
	Lines   int    `json:"lines"`
}

// Extent is a named thing and its lines.
type Extent struct {
	Name  string `json:"name"`
	Lines int    `json:"lines"`
}

// Rooms measures every package but its arrows, in the order of their paths.
func Rooms(sources []Source) []Room {
	byPackage := map[string]*Room{}
	types := map[string]map[string]*Type{}
	for _, s := range sources {
		if s.Test {
			continue
		}
		r := byPackage[s.Package]
		if r == nil {
			r = &Room{Package: s.Package}
			byPackage[s.Package], types[s.Package] = r, map[string]*Type{}
		}
		r.Files++
		r.Lines += s.Lines()
		r.File = longer(r.File, Extent{path.Base(s.Path), s.Lines()})
		s.Funcs(func(name string, lines int) { r.Function = longer(r.Function, Extent{name, lines}) })
		countTypes(s, types[s.Package])
	}
	var all []Room
	for _, name := range slices.Sorted(maps.Keys(byPackage)) {
		r := byPackage[name]
		for _, t := range types[name] {
			r.Types = append(r.Types, *t)
		}
		slices.SortFunc(r.Types, func(a, b Type) int {
			return cmp.Or(b.Methods-a.Methods, b.Fields-a.Fields, cmp.Compare(a.Name, b.Name))
		})
		all = append(all, *r)
	}
	return all
}

func longer(a, b Extent) Extent {
	if b.Lines > a.Lines {
		return b
	}
	return a
}

// countTypes adds the methods, fields and lines that s declares. A method may stand in another file than its type.
func countTypes(s Source, into map[string]*Type) {
	at := func(name string) *Type {
		if into[name] == nil {
			into[name] = &Type{Name: name}
		}
		return into[name]
	}
	for _, d := range s.File.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if name := receiver(d); name != "" {
				at(name).Methods++
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				t, ok := spec.(*ast.TypeSpec)
				if !ok {
					continue
				}
				of := at(t.Name.Name)
				if st, ok := t.Type.(*ast.StructType); ok {
					of.Lines = s.Fset.Position(st.End()).Line - s.Fset.Position(st.Pos()).Line + 1
					of.Fields = st.Fields.NumFields()
				}
			}
		}
	}
}

// receiver names the type that a method belongs to; empty for a function.
func receiver(d *ast.FuncDecl) string {
	if d.Recv == nil {
		return ""
	}
	typ := d.Recv.List[0].Type
	if star, ok := typ.(*ast.StarExpr); ok {
		typ = star.X
	}
	switch t := typ.(type) {
	case *ast.IndexExpr:
		typ = t.X
	case *ast.IndexListExpr:
		typ = t.X
	}
	if id, ok := typ.(*ast.Ident); ok {
		return id.Name
	}
	return ""
}

// Largest returns the type with most methods and the one with most fields; a zero Type where there is none.
func (r Room) Largest() (byMethods, byFields Type) {
	for _, t := range r.Types {
		if t.Methods > byMethods.Methods {
			byMethods = t
		}
		if t.Fields > byFields.Fields {
			byFields = t
		}
	}
	return byMethods, byFields
}
