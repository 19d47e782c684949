package kit

import (
	"errors"
	"sync"
)

// SideBySide runs jobs, at most atOnce of them at a time, begun in order, and returns what went wrong in any.
func SideBySide(atOnce int, jobs []func() error) error {
	var wg sync.WaitGroup
	free := make(chan struct{}, atOnce)
	errs := make([]error, len(jobs))
	for i, job := range jobs {
		free <- struct{}{}
		wg.Go(func() {
			errs[i] = job()
			<-free
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}
