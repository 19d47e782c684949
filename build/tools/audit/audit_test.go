package audit

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

func TestLicencesAreTold(t *testing.T) {
	for text, want := range map[string]struct {
		licence    string
		permissive bool
	}{
		"MIT License\n\nPermission is hereby granted, free\nof charge, to any person":               {"MIT", true},
		"Redistribution and use in source and binary forms\n * Neither the name of Google Inc. nor": {"BSD-3-Clause", true},
		"Redistribution and use in source and binary forms, with or without":                        {"BSD-2-Clause", true},
		"                                 Apache License\n   Version 2.0, January 2004":             {"Apache-2.0", true},
		"GNU GENERAL PUBLIC LICENSE Version 3":                                                      {"GPL", false},
		"Mozilla Public License Version 2.0":                                                        {"MPL-2.0", false},
		"Permission is hereby granted, free of charge. GNU LESSER GENERAL PUBLIC LICENSE":           {"LGPL and MIT", false},
		"Ask Bob.": {"unknown", false},
		"":         {"unknown", false},
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "LICENSE.md"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := Licence(dir); got != want.licence || Permissive(got) != want.permissive {
			t.Errorf("%.40q: %s, permissive %v; want %+v", text, got, Permissive(got), want)
		}
	}
}

func TestIndexNamesTheModulesOfReports(t *testing.T) {
	from, to := t.TempDir(), t.TempDir()
	for id, modified := range map[string]string{"GO-2026-1": "2026-01-02T00:00:00Z", "GO-2026-2": "2026-03-04T00:00:00Z"} {
		report := `{"id":"` + id + `","modified":"` + modified + `","affected":[{"package":{"name":"example.org/m"}},` +
			`{"package":{"name":"example.org/m"}},{"package":{"name":"stdlib"}}]}`
		if err := os.WriteFile(filepath.Join(from, id+".json"), []byte(report), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := Index(from, to); err != nil {
		t.Fatal(err)
	}
	var modules []struct {
		Path  string
		Vulns []struct{ ID string }
	}
	b, err := os.ReadFile(filepath.Join(to, "index", "modules.json"))
	if err == nil {
		err = json.Unmarshal(b, &modules)
	}
	if err != nil || len(modules) != 2 || modules[0].Path != "example.org/m" || len(modules[0].Vulns) != 2 {
		t.Errorf("%+v, %v", modules, err)
	}
	if b, _ := os.ReadFile(filepath.Join(to, "index", "db.json")); string(b) != "{\"modified\":\"2026-03-04T00:00:00Z\"}\n" {
		t.Errorf("db.json is %s", b)
	}
	if _, err := os.Stat(filepath.Join(to, "ID", "GO-2026-2.json")); err != nil {
		t.Error(err)
	}
	if Index(t.TempDir(), to) == nil {
		t.Error("an empty folder is no database")
	}
}
