//go:build !unix

package ownfile

import (
	"io/fs"
	"os"
)

// There are no FIFOs in directories.
const nonBlocking = 0

// foreign: who may write to a file is not told by its owner.
func foreign(_, _ fs.FileInfo) string { return "" }

func writer(*os.Root, string, fs.FileInfo) string { return "" }

type nature struct{}

func natureOf(*os.Root) nature { return nature{} }

func (nature) gives(fs.FileInfo) bool { return false }

// Chown is empty.
func Chown(string) string { return "" }

// Others is empty.
func Others(string) (who string, lasting bool) { return "", false }
