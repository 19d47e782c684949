package gate

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/linkbeat/linkbeat/agent/printable"
	"github.com/linkbeat/linkbeat/agent/statuspage"
)

const (
	maxDocument = 1 << 20  // bytes of an answer that is read whole
	maxMembers  = 1 << 15  // of its objects and lists, as each takes many times its bytes in memory
	maxSentence = 64 << 10 // bytes of a text for people
)

// text is what an answer says to people.
func text(res *http.Response) string {
	p, _ := io.ReadAll(io.LimitReader(res.Body, maxSentence)) // of an answer that is torn, what there is
	return printable.Words(string(p), maxSentence)
}

// call asks for a document; how many bytes of it are read has an end.
func (w Where) call(ctx context.Context, method, path string, tcp overTCP, document any) error {
	res, done, err := w.ask(ctx, method, path, tcp)
	if err != nil {
		return err
	}
	defer done()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("it answers %s (is it linkbeat?): %s", printable.Short(res.Status, statuspage.MaxText), text(res))
	}
	p, err := io.ReadAll(io.LimitReader(res.Body, maxDocument+1))
	switch {
	case err != nil:
	case len(p) > maxDocument || bytes.Count(p, []byte(",")) > maxMembers:
		err = fmt.Errorf("more than %d bytes or %d members: is it linkbeat?", maxDocument, maxMembers)
	default:
		err = json.Unmarshal(p, document)
	}
	if err != nil {
		return fmt.Errorf("its answer is not whole, or not linkbeat's: %w", err)
	}
	return nil
}

// Status asks the agent how it is.
func (w Where) Status(ctx context.Context) (s statuspage.Status, err error) {
	err = w.call(ctx, http.MethodGet, "/status", always, &s)
	printable.Deep(&s, statuspage.MaxText) // whoever answers may be no linkbeat
	return s, err
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
	if _, err = io.Copy(out, res.Body); ctx.Err() != nil {
		return nil
	}
	return errors.Join(fmt.Errorf("tap of %q: %w", device, errTapEnded), err)
}

// Reconnect has the agent dial at once, or re-dial while it is connected, and returns what came of that in a sentence. Only over
// the socket. An error that does not wrap [ErrNoAgent] or [ErrMayNot] says why it did not connect.
func (w Where) Reconnect(ctx context.Context) (string, error) {
	var r statuspage.Reconnected
	err := w.call(ctx, http.MethodPost, "/reconnect", never, &r)
	if err == nil && r.Fault != "" {
		err = errors.New(printable.Short(r.Fault, statuspage.MaxText))
	}
	return printable.Short(r.Done, statuspage.MaxText), err
}

// Reload has the agent read its configuration again, and returns what came of it. Only over the socket.
func (w Where) Reload(ctx context.Context) (r statuspage.Reloaded, err error) {
	err = w.call(ctx, http.MethodPost, "/reload", never, &r)
	printable.Deep(&r, statuspage.MaxText)
	return r, err
}
