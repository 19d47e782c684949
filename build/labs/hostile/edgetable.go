package hostile

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

// silentCommands are the commands that cannot show what a stranger wrote, and why. Of every other command there must be an edge
// that does.
func silentCommands() map[string]string {
	const ours = "prints only what stands in the program"
	all := map[string]string{
		"linkbeat template": ours, "linkbeat version": ours, "linkbeatctl version": ours, "linkbeat help": ours,
		"linkbeatctl help":    ours,
		"linkbeat":            "prints its help",
		"linkbeatctl":         "prints its help",
		"linkbeatctl acl":     "prints rules for the words that its caller gives, and asks nobody",
		"linkbeatctl demo":    "has no strangers: broker, device and gateway are its own",
		"linkbeatctl console": "is raw by design: SECURITY.md says so",
	}
	for _, program := range []string{"linkbeat", "linkbeatctl"} {
		all[program+" completion"] = ours
		for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
			all[program+" completion "+shell] = ours
		}
	}
	return all
}

// silentEdge is an edge that cannot show what a stranger wrote, and why.
type silentEdge struct {
	command  string // its first words
	stranger string // who wrote; empty: whoever
	why      string
}

func silentEdges() (all []silentEdge) {
	for _, stranger := range []string{"CONNACK", "bytes"} {
		for _, command := range []string{"linkbeat diag", "linkbeat check --online", "linkbeat run", "linkbeat reconnect",
			"linkbeat probe", "linkbeatctl devices"} {
			all = append(all, silentEdge{command, stranger, "tells what is no MQTT by its numbers alone"})
		}
	}
	for _, command := range []string{"linkbeat diag", "linkbeat check --online"} {
		all = append(all, silentEdge{command, "commands", "has a session of its own, which gets no commands"})
	}
	return append(all, silentEdge{"linkbeat /metrics", "", "has numbers and names of the configuration alone"},
		silentEdge{"linkbeat __complete", "", "needs a document, and one with control characters in a name is none"},
		silentEdge{"linkbeatctl __complete", "", "leaves out names that are not shown as themselves"})
}

// commandsOf lists the commands of a program by what its help says, and theirs.
func commandsOf(program string, words ...string) (all []string, err error) {
	out, err := exec.Command(program, append(slices.Clone(words), "--help")...).Output()
	if err != nil {
		return nil, fmt.Errorf("%s %v --help: %w", program, words, err)
	}
	all = []string{strings.Join(append([]string{filepath.Base(program)}, words...), " ")}
	_, list, ok := strings.Cut(string(out), "Available Commands:\n")
	if !ok {
		return all, nil
	}
	list, _, _ = strings.Cut(list, "\n\n")
	for _, line := range strings.Split(list, "\n") {
		name, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		if name == "" || name == "help" {
			continue
		}
		below, err := commandsOf(program, append(slices.Clone(words), name)...)
		if err != nil {
			return nil, err
		}
		all = append(all, below...)
	}
	return all, nil
}

// is reports whether an edge is of a command: its name begins with it, word by word.
func (e edge) is(command string) bool {
	rest, ok := strings.CutPrefix(e.name, command)
	return ok && (rest == "" || rest[0] == ' ' || rest[0] == ',')
}

// shows is nil where an edge shows what the stranger wrote, as something harmless, or cannot for a known reason.
func (e edge) shows() error {
	shown := strings.Contains(string(e.output), sentence)
	for _, x := range silentEdges() {
		if e.is(x.command) && strings.HasSuffix(e.name, x.stranger) {
			if shown {
				return fmt.Errorf("%s shows it, although it %s: take it out of silentEdges", e.name, x.why)
			}
			return nil
		}
	}
	if !shown {
		return fmt.Errorf("%s shows nothing of it: %.200q", e.name, e.output)
	}
	return nil
}

// everyCommand makes sure that no command of the two programs goes unnoticed.
func (l lab) everyCommand(all []edge) error {
	silent := silentCommands()
	if !l.o.Full {
		silent["linkbeat reconnect"] = "waits for half a minute: the full form shows it"
	}
	var without, unknown []string
	count := 0
	for _, program := range []string{l.agent, l.ctl} {
		commands, err := commandsOf(program)
		if err != nil {
			return err
		}
		count += len(commands)
		for _, c := range commands {
			_, quiet := silent[c]
			edges := slices.ContainsFunc(all, func(e edge) bool {
				return e.is(c) && e.err == nil && strings.Contains(string(e.output), sentence)
			})
			if !quiet && !edges {
				without = append(without, c)
			}
			delete(silent, c)
		}
	}
	for c := range silent {
		if !strings.HasSuffix(c, " help") {
			unknown = append(unknown, c)
		}
	}
	slices.Sort(unknown)
	l.t.Exactly("commands of both programs that have no edge here, and no reason", len(without), 0, fmt.Sprint("of ", count),
		strings.Join(without, "; "))
	l.t.Exactly("commands with a reason that are none", len(unknown), 0, "", strings.Join(unknown, "; "))
	return nil
}

// hostileKey is a line of a document that names nothing that there is.
func hostileKey() string {
	var b strings.Builder
	for _, c := range utf8Controls() {
		r := []rune(c)[0]
		fmt.Fprintf(&b, `<\U%08X>`, r)
	}
	return "\"" + sentence + b.String() + "\": 1\n"
}

// localEdges are the commands that ask a running agent, or read a document that somebody else wrote.
func (l lab) localEdges(a *kit.Agent, tty *kit.Pty, name string) (all []edge, err error) {
	talk := time.AfterFunc(300*time.Millisecond, func() {
		for range 20 {
			_, _ = tty.Write([]byte(hostileBytes() + "\n"))
			time.Sleep(50 * time.Millisecond)
		}
	})
	defer talk.Stop()
	add := func(lasts time.Duration, own string, argv ...string) {
		out, err := l.onTerminal(lasts, append([]string{l.agent}, argv...)...)
		said := strings.NewReplacer(a.Socket(), "", " --socket", "", a.ConfigPath, "", " -c", "").Replace(strings.Join(argv, " "))
		all = append(all, edge{"linkbeat " + strings.TrimSpace(said) + ", " + name, out, err, own})
	}
	add(2*time.Second, textOwn, "tap", "meter", "--socket", a.Socket())
	good, err := os.ReadFile(a.ConfigPath)
	if err != nil {
		return nil, err
	}
	if name == "certificate" && l.o.Full { // it waits for 30 s, and tells then what there is instead of a connection
		add(40*time.Second, textOwn, "reconnect", "--socket", a.Socket())
	}
	if err := a.ConfigureRaw(append(slices.Clone(good), hostileKey()...)); err != nil {
		return nil, err
	}
	add(15*time.Second, textOwn, "check", "-c", a.ConfigPath)
	add(15*time.Second, textOwn, "check", "-v", "-c", a.ConfigPath)
	add(15*time.Second, textOwn, "reload", "--socket", a.Socket())
	add(15*time.Second, textOwn, "status", "--socket", a.Socket())
	add(5*time.Second, textOwn, "__complete", "tap", "", "-c", a.ConfigPath)
	return all, a.ConfigureRaw(good)
}
