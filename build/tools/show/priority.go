package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"syscall"
)

// sooner is how much less nice a quiet target is: what it measures waits for the line and the network, not for the processor.
const sooner = 10

// goFirst lets this process, and what it starts from now on, go before others, as `nice -n -10` does. A priority belongs to a
// thread and is inherited; a thread that was made while they were listed is met in the second round.
func goFirst() error {
	raw, err := syscall.Getpriority(syscall.PRIO_PROCESS, 0)
	if err != nil {
		return fmt.Errorf("priority: %w", err)
	}
	nice := 20 - raw - sooner // the system call returns 20 less what is meant
	for range 2 {
		threads, err := os.ReadDir("/proc/self/task")
		if err != nil {
			return fmt.Errorf("threads: %w", err)
		}
		for _, thread := range threads {
			id, err := strconv.Atoi(thread.Name())
			if err == nil {
				err = syscall.Setpriority(syscall.PRIO_PROCESS, id, nice)
			}
			if err != nil && !errors.Is(err, syscall.ESRCH) { // it ended meanwhile
				return fmt.Errorf("priority of thread %s: %w", thread.Name(), err)
			}
		}
	}
	return nil
}
