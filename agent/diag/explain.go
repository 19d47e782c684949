package diag

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/linkbeat/linkbeat/config"
	"github.com/linkbeat/linkbeat/transport/diagnose"
)

// expirySoon is when a certificate that still holds is worth a word.
const expirySoon = 14 * 24 * time.Hour

// facts are what hints talk about.
type facts struct {
	host, id, user, trial string

	tls config.TLS
}

func factsOf(s config.Server, id string, login config.Server) facts {
	return facts{host: s.Host(), id: id, user: login.Username, tls: login.TLS}
}

// explain says what a step of a trial means.
func explain(t diagnose.Step, f facts, now time.Time) Step {
	s := Step{Name: t.Name, Status: OK, TookMS: milliseconds(t.Took), Text: t.Text, Fault: string(t.Fault),
		Verdict: t.Verdict}
	for _, topic := range t.Topics {
		s.Topics = append(s.Topics, Topic{topic.Class, topic.Topic})
	}
	for _, c := range t.Certs {
		s.Certs = append(s.Certs, certificate(c, now))
		s.Text += "; " + certText(c, now)
	}
	switch {
	case t.Fault != "":
		s.Status, s.Hint = Fail, hint(t, f)
	case t.Verdict == diagnose.EchoUnknown:
		s.Status, s.Hint = Warn, f.fill(unknownHint(t.Name))
	default:
		s.soon(t.Certs, f, now)
	}
	return s
}

// soon warns of a certificate that expires. Ours comes last, and an expired one of the server is a failure before this.
func (s *Step) soon(certs []diagnose.Cert, f facts, now time.Time) {
	for _, c := range certs {
		if c.NotAfter.Sub(now) > expirySoon {
			continue
		}
		s.Status, s.Hint = Warn, f.fill(hintServerSoon)
		if c.Ours {
			s.Hint = f.fill(hintOursSoon)
		}
	}
}

func certificate(c diagnose.Cert, now time.Time) Certificate {
	days := math.Round(c.NotAfter.Sub(now).Hours()/24*10) / 10
	return Certificate{Ours: c.Ours, Subject: c.Subject, Issuer: c.Issuer, NotAfter: c.NotAfter.UnixMilli(), DaysLeft: days}
}

func certText(c diagnose.Cert, now time.Time) string {
	whose := "server's"
	if c.Ours {
		whose = "ours"
	}
	text := fmt.Sprintf("%s %q by %q", whose, c.Subject, c.Issuer)
	switch left := c.NotAfter.Sub(now); {
	case left < 0:
		return fmt.Sprintf("%s expired %s ago", text, days(-left))
	case now.Before(c.NotBefore):
		return fmt.Sprintf("%s is valid from %s", text, c.NotBefore.UTC().Format(time.DateTime))
	default:
		return fmt.Sprintf("%s has %s left", text, days(left))
	}
}

func days(d time.Duration) string {
	if d < 48*time.Hour {
		return d.Round(time.Minute).String()
	}
	return fmt.Sprintf("%d days", d/(24*time.Hour))
}

// hint is what to do about a failure: that of the step and fault, else that of the fault.
func hint(t diagnose.Step, f facts) string {
	if text := hintNotTaken(t.Fault); text != "" {
		return f.fill(text)
	}
	table := hints()
	for _, key := range []string{t.Name + " " + string(t.Fault), string(t.Fault), t.Name} {
		if text, ok := table[key]; ok {
			return f.fill(text)
		}
	}
	return f.fill(table[""])
}

// fill puts the facts into a hint.
func (f facts) fill(text string) string {
	or := func(s, other string) string {
		if s == "" {
			return other
		}
		return s
	}
	return strings.NewReplacer("{host}", f.host, "{id}", f.id, "{trial}", f.trial, "{user}", or(f.user, "(none)"),
		"{ca}", or(f.tls.CAFile.String(), "the system's authorities"),
		"{cert}", or(f.tls.CertFile.String(), "(none)")).Replace(text)
}
