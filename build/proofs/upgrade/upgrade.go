package upgrade

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

// Options choose what is tried.
type Options struct {
	From    string  // a folder as [Record] makes them; if empty, build/testdata/upgrade
	Program Program // if zero, the one of this tree
	Then    string  // a linkbeat that goes on where the replay ended; if empty, none
	Again   bool    // tell the stories again, and compare what is written
}

// lateAfter is how old a record is when it is marked late, and a bit more: what is recorded is looked at only then, so
// that it is late each time.
const lateAfter = 31 * time.Second

// Future is when [Program.Early] was built.
func Future() time.Time { return time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC) }

// Programs builds both of a tree.
func Programs(e *kit.Env, root string) (Program, error) {
	var p Program
	dir, err := e.Sub("programs")
	if err != nil {
		return p, err
	}
	now, early := filepath.Join(dir, "linkbeat"), filepath.Join(dir, "linkbeat-early")
	p = Program{Argv: []string{now}, Early: []string{early}}
	if err := (kit.Tree{Root: root}).Build(e.Ctx, "cmd/linkbeat", now); err != nil {
		return p, err
	}
	return p, kit.Tree{Root: root, Built: Future()}.Build(e.Ctx, "cmd/linkbeat", early)
}

// Run proves the change from the recorded version to this one, and what the one before will find.
func Run(e *kit.Env, o Options, t *kit.Table) error {
	root, err := kit.Root()
	if err != nil {
		return err
	}
	if o.From == "" {
		o.From = filepath.Join(root, "build", "testdata", "upgrade")
	}
	if len(o.Program.Argv) == 0 {
		if o.Program, err = Programs(e, root); err != nil {
			return err
		}
	}
	t.Say("The agent goes on with a copy of what an earlier one left on the disk, three stories of it: " +
		"same topics, same records in the")
	t.Say("same order (those that are late with their time), no new fault, nothing lost, no command a second time. " +
		"Told the same stories")
	t.Say("again it writes the same files, but for times, epochs, the checksums over them, and measured numbers.")
	if err := judgeDocuments(e, o.Program.Argv, filepath.Join(o.From, "documents"), t); err != nil {
		return err
	}
	return eachStory(func(s story) error {
		errs := []error{judge(e, s, o, t)}
		if o.Again {
			errs = append(errs, judgeAgain(e, s, o, t))
		}
		return errors.Join(errs...)
	})
}

// eachStory runs f for all of them side by side.
func eachStory(f func(s story) error) error {
	var wg sync.WaitGroup
	errs := make([]error, len(stories()))
	for i, s := range stories() {
		wg.Go(func() {
			if err := f(s); err != nil {
				errs[i] = fmt.Errorf("%s: %w", s.name, err)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// judge replays a story.
func judge(e *kit.Env, s story, o Options, t *kit.Table) error {
	from := filepath.Join(o.From, s.name)
	var want transcript
	if err := loadJSON(filepath.Join(from, expectedFile), &want); err != nil {
		return err
	}
	g, err := newGateway(e, s.name+"-replay", s.learns, o.Program.Argv...)
	if err != nil {
		return err
	}
	got, err := g.replay(from)
	if err != nil {
		return err
	}
	judgeRecords(s.name, want, got, t)
	var news []string
	for _, w := range got.Log {
		if !slices.Contains(want.Log, w) {
			news = append(news, w)
		}
	}
	t.Exactly(s.name+": new faults in the log", len(news), 0, "", strings.Join(news, "; "))
	t.Check(s.name+": status and its why are the same", sameAs(got.Status, want.Status))
	t.Exactly(s.name+": commands carried out twice", got.Twice, want.Twice, "", "")
	t.Check(s.name+": the path is known as it was", sameAs(got.RememberedS, want.RememberedS))
	t.Check(s.name+": ledger, path memory and quarantine are kept", g.kept(from))
	if o.Then != "" {
		t.Check(s.name+": the other version goes on with that", g.then(o.Then))
	}
	return nil
}

func sameAs(is, was any) error {
	if reflect.DeepEqual(is, was) {
		return nil
	}
	return fmt.Errorf("is  %+v\nwas %+v", is, was)
}

// judgeRecords sets the topics and what came on them beside what is to come.
func judgeRecords(name string, want, got transcript, t *kit.Table) {
	records, all, note := 0, difference{}, ""
	for topic, w := range want.Topics {
		records += len(w)
		d := compare(w, got.Topics[topic])
		all.lost, all.more, all.elsewhere = all.lost+d.lost, all.more+d.more, all.elsewhere+d.elsewhere
		if d.note != "" {
			note = topic + ": " + d.note
		}
	}
	var topics []string
	for topic := range got.Topics {
		if want.Topics[topic] == nil {
			topics = append(topics, topic)
		}
	}
	t.Info(name+": records", float64(records), "")
	t.Exactly(name+": lost", all.lost, 0, "", note)
	t.Exactly(name+": not expected", all.more, 0, "", note)
	t.Exactly(name+": out of order", all.elsewhere, 0, "", note)
	t.Exactly(name+": topics that were not there", len(topics), 0, "", strings.Join(topics, " "))
}

// judgeAgain tells a story to the agent and compares what it leaves with what was recorded.
func judgeAgain(e *kit.Env, s story, o Options, t *kit.Table) error {
	out, err := e.Sub(s.name)
	if err != nil {
		return err
	}
	if err := tell(e, s, o.Program, out, "this"); err != nil {
		return err
	}
	differ, records, note, err := compareFiles(filepath.Join(o.From, s.name), out)
	if err != nil {
		return err
	}
	t.Info(s.name+": lines of files written again", float64(records), "")
	t.Exactly(s.name+": files that are other than they were", differ, 0, "", note)
	return nil
}

// compareFiles sets the files of two recorded stories side by side.
func compareFiles(was, is string) (differ, lines int, note string, err error) {
	before, err := dumpOf(was)
	if err != nil {
		return 0, 0, "", err
	}
	after, err := dumpOf(is)
	if err != nil {
		return 0, 0, "", err
	}
	for name, lines := range after {
		if _, ok := before[name]; !ok && len(lines) > 0 {
			differ++
			note = name + ": was not written before"
		}
	}
	for name, b := range before {
		lines += len(b)
		a, ok := after[name]
		if ok && slices.Equal(a, b) {
			continue
		}
		differ++
		note = fmt.Sprintf("%s: is not written any more", name)
		if ok {
			at := 0
			for at < min(len(a), len(b)) && a[at] == b[at] {
				at++
			}
			note = fmt.Sprintf("%s, line %d:\nis  %.400q\nwas %.400q", name, at+1, a[at:min(at+1, len(a))],
				b[at:min(at+1, len(b))])
		}
	}
	return differ, lines, note, nil
}

// dumpOf is the dump of a recorded story, at no site.
func dumpOf(story string) (map[string][]string, error) {
	var at site
	if err := loadJSON(filepath.Join(story, siteFile), &at); err != nil {
		return nil, err
	}
	all, err := Dump(filepath.Join(story, stateDir))
	for _, lines := range all {
		for i := range lines {
			lines[i] = string(at.moved([]byte(lines[i]), nowhere()))
		}
	}
	return all, err
}

// tell tells a story and keeps its end in out.
func tell(e *kit.Env, s story, p Program, out, by string) error {
	g, err := newGateway(e, s.name, s.learns, p.Argv...)
	if err != nil {
		return err
	}
	if err := s.tell(g, p); err != nil {
		return err
	}
	return g.keep(out, by)
}

// Record tells every story to a program, keeps what it leaves in out and what it then makes of that, and
// what it makes of documents.
func Record(e *kit.Env, p Program, by, documents, out string) error {
	if err := recordDocuments(e, p.Argv, documents, filepath.Join(out, "documents")); err != nil {
		return err
	}
	return eachStory(func(s story) error {
		to := filepath.Join(out, s.name)
		if err := errors.Join(os.RemoveAll(to), os.MkdirAll(to, 0o755)); err != nil {
			return fmt.Errorf("record: %w", err)
		}
		if err := tell(e, s, p, to, by); err != nil {
			return err
		}
		e.Sleep(lateAfter)
		g, err := newGateway(e, s.name+"-replay", s.learns, p.Argv...)
		if err != nil {
			return err
		}
		t, err := g.replay(to)
		if err != nil {
			return err
		}
		return saveJSON(filepath.Join(to, expectedFile), t)
	})
}
