package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"time"
)

// lockPoll is how often a waiting process asks for a lock again.
const lockPoll = 100 * time.Millisecond

// tryLock takes an exclusive lock on a file, which it creates. It returns nil
// and no error when another process has it. The lock lasts as long as the file
// is open, in any process that inherited it.
func tryLock(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, file.Close()
	}
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return file, nil
}

// held says whether another process has the lock on a file. It asks with a shared
// lock, so that neither those who ask at the same time nor a process that is
// started meanwhile, and inherits the file for a moment, is taken for the holder.
func held(path string) (bool, error) {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer file.Close()
	err = syscall.Flock(int(file.Fd()), syscall.LOCK_SH|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return true, nil
	}
	return false, err
}

// lockFile waits for a lock and returns the function that gives it back;
// waiting is called once when it isn't free at once.
func lockFile(ctx context.Context, path string, waiting func()) (func(), error) {
	for told := false; ; {
		file, err := tryLock(path)
		if err != nil {
			return nil, err
		}
		if file != nil {
			return func() { file.Close() }, nil
		}
		if !told {
			waiting()
			told = true
		}
		if err := pause(ctx, lockPoll); err != nil {
			return nil, err
		}
	}
}

// awaitLock waits for a lock, at most so long.
func awaitLock(ctx context.Context, limit time.Duration, path string) (*os.File, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		lock, err := tryLock(path)
		if lock != nil || err != nil {
			return lock, err
		}
		if err := pause(ctx, lockPoll); err != nil {
			return nil, err
		}
	}
}

// pause waits, or returns why ctx ended.
func pause(ctx context.Context, wait time.Duration) error {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
