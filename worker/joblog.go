package worker

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
)

const (
	// logFileBytes bounds each of the two files that a job's output goes to in
	// turn: at least a mebibyte of the newest is always there.
	logFileBytes = 1 << 20
	// lastWordsBytes is how much of the newest output is kept in memory, to say
	// why a process ended. A Go stack of a few goroutines fits.
	lastWordsBytes = 16 << 10
)

// jobLog takes the output of a job's processes on this machine: log.0 is
// written, log.1 is the one before. All methods may be called at once.
type jobLog struct {
	dir string

	mu   sync.Mutex
	file *os.File
	size int64
	last []byte // of this process: the newest lastWordsBytes, or a little more
}

// openJobLog opens the log in dir for appending.
func openJobLog(dir string) (*jobLog, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("open job log: %w", err)
	}
	l := &jobLog{dir: dir}
	if err := l.openLocked(); err != nil {
		return nil, err
	}
	return l, nil
}

func (l *jobLog) openLocked() error {
	f, err := os.OpenFile(filepath.Join(l.dir, "log.0"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("open job log: %w", err)
	}
	info, err := f.Stat()
	if err != nil {
		return errors.Join(fmt.Errorf("open job log: %w", err), f.Close())
	}
	l.file, l.size = f, info.Size()
	return nil
}

// Write appends output. A log that can not be written must not stop the job:
// the output is then only in lastWords.
func (l *jobLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rememberLocked(p)
	if l.size+int64(len(p)) > logFileBytes {
		l.turnLocked()
	}
	if l.file != nil {
		n, err := l.file.Write(p)
		l.size += int64(n)
		if err != nil { // a full disk: try again with what comes next
			return len(p), nil
		}
	}
	return len(p), nil
}

func (l *jobLog) rememberLocked(p []byte) {
	l.last = append(l.last, p...)
	if len(l.last) > 2*lastWordsBytes {
		l.last = append(l.last[:0], l.last[len(l.last)-lastWordsBytes:]...)
	}
}

// turnLocked makes log.0 to log.1 and begins a new one.
func (l *jobLog) turnLocked() {
	if l.file != nil {
		l.file.Close() // opened for appending: everything is written
		l.file = nil
	}
	if os.Rename(filepath.Join(l.dir, "log.0"), filepath.Join(l.dir, "log.1")) != nil ||
		l.openLocked() != nil {
		l.size = logFileBytes // try again at the next write
	}
}

// lastWords is the newest output of this process.
func (l *jobLog) lastWords() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]byte(nil), l.last[max(0, len(l.last)-lastWordsBytes):]...)
}

// Close closes the file.
func (l *jobLog) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return nil
	}
	err := l.file.Close()
	l.file = nil
	l.size = logFileBytes
	return err
}

// readLog returns the newest output of a job, at most about max bytes: of
// processes that run and of those that ran.
func readLog(dir string, max int64) ([]byte, error) {
	var text []byte
	for _, name := range []string{"log.0", "log.1"} {
		part, err := readTail(filepath.Join(dir, name), max-int64(len(text)))
		if errors.Is(err, fs.ErrNotExist) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("read job log: %w", err)
		}
		text = append(part, text...)
	}
	return text, nil
}

func readTail(path string, max int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, err
	}
	if max < size {
		if max < 0 {
			max = 0
		}
		return readFrom(f, size-max, max)
	}
	return readFrom(f, 0, size)
}

func readFrom(r io.ReaderAt, offset, length int64) ([]byte, error) {
	return io.ReadAll(io.NewSectionReader(r, offset, length))
}
