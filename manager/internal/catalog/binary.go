package catalog

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
)

// Sum is the SHA-256 of a file.
type Sum [sha256.Size]byte

func (s Sum) String() string { return hex.EncodeToString(s[:]) }

// Binary is a plugin's file, opened and checksummed. It is safe for concurrent use.
type Binary struct {
	Path string
	Sum  Sum
	File *os.File // to execute; its offset means nothing

	info os.FileInfo
}

// Open opens and checksums a file. The caller closes the Binary when no process will
// be started from it any more.
func Open(path string) (*Binary, error) { return open(path, checksum) }

func open(path string, sum func(*os.File, os.FileInfo) (Sum, error)) (_ *Binary, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open plugin: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("checksum plugin %s: %w", path, err), f.Close())
		}
	}()
	// Taken before the content is read: a change in between is seen as one later.
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("it is not a regular file (%v)", info.Mode())
	}
	b := &Binary{Path: path, File: f, info: info}
	b.Sum, err = sum(f, info)
	return b, err
}

func checksum(f *os.File, info os.FileInfo) (sum Sum, err error) {
	h := sha256.New()
	_, err = io.Copy(h, io.NewSectionReader(f, 0, info.Size()))
	h.Sum(sum[:0])
	return sum, err
}

// Changed reports whether Path has another file by now, or the file another size or
// time: it is then to be opened again before the next start. It costs one stat.
func (b *Binary) Changed() bool {
	info, err := os.Stat(b.Path)
	return err != nil || !os.SameFile(info, b.info) || info.Size() != b.info.Size() || !info.ModTime().Equal(b.info.ModTime())
}

// Close closes the file.
func (b *Binary) Close() error { return b.File.Close() }
