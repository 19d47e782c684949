package kit

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// against names a commit to be compared with, instead of the one before: `make size AGAINST=v1.0`.
const against = "AGAINST"

// ErrNoHistory is why there is nothing to compare with.
var ErrNoHistory = errors.New("no commit of main before these sources: not a git repository, or a shallow clone")

// Before is the commit to compare with: the one that AGAINST names, or the last one on main that is older than the sources in
// the working tree. [ErrNoHistory] where there is none.
func Before(root string) (string, error) {
	if name := os.Getenv(against); name != "" {
		if commit := git(root, "rev-parse", "--verify", "--quiet", name+"^{commit}"); commit != "" {
			return commit, nil
		}
		return "", fmt.Errorf("%s=%s: no such commit", against, name)
	}
	head, commit := git(root, "rev-parse", "HEAD"), ""
	for _, main := range []string{"origin/main", "main"} {
		if commit = git(root, "merge-base", "HEAD", main); commit != "" {
			break
		}
	}
	if commit != "" && commit == head && git(root, "status", "--porcelain", "--untracked-files=no") == "" {
		commit = git(root, "rev-parse", "--verify", "--quiet", "HEAD~1")
	}
	if commit == "" {
		return "", ErrNoHistory
	}
	return commit, nil
}

// Unpack puts the sources of a commit into dir, which must be there.
func Unpack(ctx context.Context, root, commit, dir string) error {
	archive := filepath.Join(dir, "sources.tar")
	for _, argv := range [][]string{{"git", "-C", root, "archive", "-o", archive, commit},
		{"tar", "-x", "-C", dir, "-f", archive}} {
		if out, err := exec.CommandContext(ctx, argv[0], argv[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("sources of %s: %w: %s", commit, err, out)
		}
	}
	return os.Remove(archive)
}
