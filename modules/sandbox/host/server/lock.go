package server

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// ErrInUse says that a running server holds a data folder.
var ErrInUse = errors.New("a running sandbox uses this data folder")

const lockFile = "lock"

// asking is how long whoever asks for the lock may have it.
const asking = time.Second

// Lock takes the data folder for this process and writes its process id into
// the lock file, by which the launcher finds it, or returns ErrInUse. The kernel gives
// the lock back when the process ends, however it ends: unlike a process id in a file,
// it never outlives its holder.
func Lock(data string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(data, lockFile), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	for until := time.Now().Add(asking); ; time.Sleep(asking / 50) {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EWOULDBLOCK) || time.Now().After(until) {
			break
		}
	}
	if err != nil {
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("%w: %s", ErrInUse, data)
		}
		return nil, fmt.Errorf("lock %s: %w", data, err)
	}
	if err = f.Truncate(0); err == nil {
		_, err = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", data, err)
	}
	return f, nil
}
