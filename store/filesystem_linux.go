package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// SQLite's locks do not hold on these: two hosts would both write.
var networkFileSystems = map[int64]string{
	0x6969:     "NFS",
	0x517b:     "SMB",
	0xff534d42: "CIFS",
	0xfe534d42: "SMB2",
}

func refuseNetworkFileSystem(path string) error {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(filepath.Dir(path), &fs); err != nil {
		return nil // the open that follows tells what is wrong
	}
	if name, ok := networkFileSystems[int64(fs.Type)&0xffffffff]; ok {
		return fmt.Errorf("%s lies on a network file system (%s), where SQLite loses data; use a local disk or PostgreSQL", path, name)
	}
	return nil
}

// keepOwner gives the file that is to take the place of another its owner: root
// restores, and the server that runs as somebody else must be able to open it.
func keepOwner(file, place string) error {
	info, err := os.Stat(place)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	was, ok := info.Sys().(*syscall.Stat_t)
	if !ok || int(was.Uid) == os.Geteuid() {
		return nil
	}
	return os.Chown(file, int(was.Uid), int(was.Gid))
}
