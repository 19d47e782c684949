package spool

import (
	"fmt"
	"testing"
	"time"
)

// BenchmarkOnline is a record that is acknowledged at once: it never touches the disk.
func BenchmarkOnline(b *testing.B) {
	s, err := Open(Dir(b.TempDir()), Options{WriteAfter: time.Hour})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	data, r := make([]byte, 100), s.Reader(nil)
	var records []Record
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Append("m", data); err != nil {
			b.Fatal(err)
		}
		if records, err = r.Next(records[:0], 64, 64<<10); err != nil {
			b.Fatal(err)
		}
		if err := s.Commit(records[len(records)-1].Pos); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkOnDisk writes records of 100 bytes in batches, each synced.
func BenchmarkOnDisk(b *testing.B) {
	for _, batch := range []int{1, 16, 256} {
		b.Run(fmt.Sprint("batch ", batch), func(b *testing.B) {
			s, err := Open(Dir(b.TempDir()), Options{WriteAfter: time.Hour, MaxBytes: 1 << 30})
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			data := make([]byte, 100)
			n := 0
			for b.Loop() {
				for range batch {
					if _, err := s.Append("m", data); err != nil {
						b.Fatal(err)
					}
				}
				s.mu.Lock()
				s.flush(time.Now())
				s.mu.Unlock()
				n += batch * len(data)
			}
			b.ReportMetric(float64(s.Status().WrittenBytes)/float64(n), "written/payload")
		})
	}
}

// BenchmarkDrain reads and commits a backlog from disk.
func BenchmarkDrain(b *testing.B) {
	s, err := Open(Dir(b.TempDir()), Options{WriteAfter: time.Hour, Sync: time.Hour, MaxBytes: 1 << 30})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	for range b.N {
		if _, err := s.Append("m", make([]byte, 100)); err != nil {
			b.Fatal(err)
		}
	}
	s.mu.Lock()
	s.flush(time.Now())
	s.mu.Unlock()
	b.ReportAllocs()
	b.ResetTimer()
	records, r := []Record(nil), s.Reader(nil)
	for done := 0; done < b.N; done += len(records) {
		if records, err = r.Next(records[:0], 64, 64<<10); err != nil || len(records) == 0 {
			b.Fatal(err)
		}
		if err := s.Commit(records[len(records)-1].Pos); err != nil {
			b.Fatal(err)
		}
	}
}
