//go:build !unix

package ownfile

import "io/fs"

// There are no FIFOs in directories.
const nonBlocking = 0

// foreign: who may write to a file is not told by its owner.
func foreign(_, _ fs.FileInfo) string { return "" }

func writer(fs.FileInfo) string { return "" }

// Chown is empty.
func Chown(string) string { return "" }

// Others is empty.
func Others(string) string { return "" }
