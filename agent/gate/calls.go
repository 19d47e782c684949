package gate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/linkbeat/linkbeat/agent/statuspage"
	"github.com/linkbeat/linkbeat/agent/supervise"
)

const (
	maxDocument = 4 << 20  // bytes of an answer that is read whole
	maxSentence = 64 << 10 // bytes of a text for people
)

// text is what an answer says to people.
func text(res *http.Response) string {
	p, _ := io.ReadAll(io.LimitReader(res.Body, maxSentence)) // of an answer that is torn, what there is
	return supervise.Printable(p)
}

// Status asks the agent how it is.
func (w Where) Status(ctx context.Context) (s statuspage.Status, err error) {
	res, done, err := w.ask(ctx, http.MethodGet, "/status", always)
	if err != nil {
		return s, err
	}
	defer done()
	if res.StatusCode != http.StatusOK {
		return s, fmt.Errorf("it answers %q: is it linkbeat?", res.Status)
	}
	if err := json.NewDecoder(io.LimitReader(res.Body, maxDocument)).Decode(&s); err != nil {
		return s, fmt.Errorf("it does not answer with a status: %w", err)
	}
	return s, nil
}

// errTapEnded says that the agent ended a tap.
var errTapEnded = errors.New("the agent has ended it, or has ended")

// Tap copies what goes over the port of a device to out, until ctx ends: then the error is nil.
func (w Where) Tap(ctx context.Context, device string, out io.Writer) error {
	res, done, err := w.ask(ctx, http.MethodGet, "/tap/"+url.PathEscape(device), noSocket)
	if err != nil {
		return err
	}
	defer done()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("device %q: %s", device, text(res))
	}
	_, err = io.Copy(out, res.Body)
	switch {
	case ctx.Err() != nil:
		return nil
	case err != nil:
		return fmt.Errorf("tap of %q: %w: %w", device, errTapEnded, err)
	}
	return fmt.Errorf("tap of %q: %w", device, errTapEnded)
}

// Reconnect has the agent dial at once, or re-dial while it is connected, and returns what came of that in a sentence. Only over
// the socket. An error that does not wrap [ErrNoAgent] or [ErrMayNot] says why it did not connect.
func (w Where) Reconnect(ctx context.Context) (string, error) {
	res, done, err := w.ask(ctx, http.MethodPost, "/reconnect", never)
	if err != nil {
		return "", err
	}
	defer done()
	if said := text(res); res.StatusCode != http.StatusOK {
		return "", errors.New(said)
	} else {
		return said, nil
	}
}

// Reload has the agent read its configuration again, and returns what came of it. Only over the socket.
func (w Where) Reload(ctx context.Context) (r statuspage.Reloaded, err error) {
	res, done, err := w.ask(ctx, http.MethodPost, "/reload", never)
	if err != nil {
		return r, err
	}
	defer done()
	if res.StatusCode != http.StatusOK {
		return r, errors.New(text(res))
	}
	if err := json.NewDecoder(io.LimitReader(res.Body, maxDocument)).Decode(&r); err != nil {
		return r, fmt.Errorf("the agent ended before it answered: %w", err)
	}
	r.Fault = supervise.Printable(r.Fault)
	for _, lines := range [][]string{r.Changes, r.Warnings} {
		for i, line := range lines {
			lines[i] = supervise.Printable(line)
		}
	}
	return r, nil
}
