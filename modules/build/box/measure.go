package main

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// readStat returns a process's number of threads and its state, of proc_pid_stat(5);
// 0 when it has ended.
func readStat(file string) (threads int, state byte) {
	data, err := os.ReadFile(file)
	if err != nil {
		return 0, 0
	}
	// The name is in brackets, and may hold any.
	end := bytes.LastIndexByte(data, ')')
	if end < 0 {
		return 0, 0
	}
	fields := bytes.Fields(data[end+1:])
	if len(fields) < 18 {
		return 0, 0
	}
	threads, err = strconv.Atoi(string(fields[17]))
	if err != nil {
		return 0, 0
	}
	return threads, fields[0][0]
}

// readStatm returns how many pages of a process are neither a file's nor shared, of
// proc_pid_statm(5).
func readStatm(file string) int64 {
	data, err := os.ReadFile(file)
	if err != nil {
		return 0
	}
	fields := bytes.Fields(data)
	if len(fields) < 3 {
		return 0
	}
	resident, err := strconv.ParseInt(string(fields[1]), 10, 64)
	if err != nil {
		return 0
	}
	shared, err := strconv.ParseInt(string(fields[2]), 10, 64)
	if err != nil {
		return 0
	}
	return max(0, resident-shared)
}

// diskFloor is how many bytes of a file system are not the command's to fill.
const diskFloor = 256 << 20

// diskHit says whether folders hold more than the limit beyond what they held before,
// or one of them is full.
func (s *Supervisor) diskHit(folders []string, before int64) bool {
	for _, folder := range folders {
		var fsStat syscall.Statfs_t
		if err := syscall.Statfs(folder, &fsStat); err == nil {
			free, all := int64(fsStat.Bavail)*fsStat.Bsize, int64(fsStat.Blocks)*fsStat.Bsize
			if free < min(diskFloor, all/64) {
				return true
			}
		}
	}
	used, err := s.diskUsage(folders)
	return err != nil || used-before > int64(s.Limits.Disk)
}

// diskUsage adds up what the files of folders take, each folder on its own file
// system. Files that vanish meanwhile take nothing.
func (s *Supervisor) diskUsage(folders []string) (used int64, err error) {
	for _, folder := range folders {
		var device uint64
		err = errors.Join(err, filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) && path != folder {
				return nil
			}
			if err != nil {
				return err
			}
			var stat syscall.Stat_t
			if err := syscall.Lstat(path, &stat); err != nil {
				return nil
			}
			if path == folder {
				device = stat.Dev
			}
			if entry.IsDir() && stat.Dev != device {
				return filepath.SkipDir
			}
			used += stat.Blocks * 512
			return nil
		}))
	}
	return used, err
}
