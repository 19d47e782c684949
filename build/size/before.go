package size

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

// against names a commit to be compared with, instead of the last one on main.
const against = "SIZE_AGAINST"

// errNoHistory is why there is nothing to compare with.
var errNoHistory = errors.New("no commit of main before these sources: not a git repository, or a shallow clone")

// before is the last commit on main that is older than the sources in the working tree.
func before(ctx context.Context, root string) (string, error) {
	git := func(args ...string) string {
		out, err := exec.CommandContext(ctx, "git", append([]string{"-C", root}, args...)...).Output()
		if err != nil {
			return "" // no git, no such commit
		}
		return strings.TrimSpace(string(out))
	}
	if name := os.Getenv(against); name != "" {
		if commit := git("rev-parse", "--verify", "--quiet", name+"^{commit}"); commit != "" {
			return commit, nil
		}
		return "", fmt.Errorf("%s=%s: no such commit", against, name)
	}
	head, commit := git("rev-parse", "HEAD"), ""
	for _, main := range []string{"origin/main", "main"} {
		if commit = git("merge-base", "HEAD", main); commit != "" {
			break
		}
	}
	if commit != "" && commit == head && git("status", "--porcelain", "--untracked-files=no") == "" {
		commit = git("rev-parse", "--verify", "--quiet", "HEAD~1")
	}
	if commit == "" {
		return "", errNoHistory
	}
	return commit, nil
}

// unpack puts the sources of a commit into a scratch folder.
func unpack(e *kit.Env, root, commit string) (string, error) {
	dir, err := e.Sub("before")
	if err != nil {
		return "", err
	}
	archive := dir + "/sources.tar"
	for _, argv := range [][]string{{"git", "-C", root, "archive", "-o", archive, commit}, {"tar", "-x", "-C", dir, "-f", archive}} {
		if out, err := exec.CommandContext(e.Ctx, argv[0], argv[1:]...).CombinedOutput(); err != nil {
			return "", fmt.Errorf("sources of %s: %w: %s", commit, err, out)
		}
	}
	return dir, nil
}
