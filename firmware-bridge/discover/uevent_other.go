//go:build !linux

package discover

import "errors"

func listenUevents() (Uevents, error) { return nil, errors.New("need Linux") }
