package wire

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
)

// Gzip compresses p (RFC 1952), without a name or a time.
func Gzip(p []byte) []byte {
	var buf bytes.Buffer
	w, err := gzip.NewWriterLevel(&buf, gzip.BestCompression)
	if err != nil { // only a wrong level fails
		panic(err)
	}
	_, _ = w.Write(p) // a bytes.Buffer takes everything
	_ = w.Close()
	return buf.Bytes()
}

// Gunzip decompresses p to at most limit bytes; more is an error, so that a few bytes cannot fill the memory.
func Gunzip(p []byte, limit int) ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(p))
	if err != nil {
		return nil, fmt.Errorf("gzip: %w", err)
	}
	out, err := io.ReadAll(io.LimitReader(r, int64(limit)+1))
	if err != nil {
		return nil, fmt.Errorf("gzip: %w", err)
	}
	if len(out) > limit {
		return nil, fmt.Errorf("gzip: more than %d bytes", limit)
	}
	return out, nil
}
