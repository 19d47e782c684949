package gate

import (
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// mayNotOpen says who may open a socket that was refused, and what to do.
func mayNotOpen(socket string) string {
	you := userName(os.Geteuid())
	info, err := os.Stat(socket)
	if err != nil {
		return fmt.Sprintf("user %s may not look into %s: run this with sudo", you, filepath.Dir(socket))
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return fmt.Sprintf("user %s may not open %s: run this with sudo", you, socket)
	}
	if stat.Gid == 0 || info.Mode().Perm()&0o060 != 0o060 {
		return fmt.Sprintf("user %s may not open %s, which is for %s alone: run this with sudo", you, socket,
			userName(int(stat.Uid)))
	}
	group := groupName(int(stat.Gid))
	return fmt.Sprintf("user %s may not open %s, which is for %s and the group %s: run this with sudo, "+
		"or join the group (sudo usermod -aG %s %s) and log in again", you, socket, userName(int(stat.Uid)), group, group, you)
}

// userName is the name of a user, or the number of one without a name.
func userName(uid int) string {
	if u, err := user.LookupId(strconv.Itoa(uid)); err == nil {
		return u.Username
	}
	return strconv.Itoa(uid)
}

func groupName(gid int) string {
	if g, err := user.LookupGroupId(strconv.Itoa(gid)); err == nil {
		return g.Name
	}
	return strconv.Itoa(gid)
}
