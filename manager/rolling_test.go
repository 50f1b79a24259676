package manager

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// pretender is a member that does as it was told.
type pretender struct {
	name                string
	fails, dies, cannot bool
	trace               *[]string
	started             time.Time
}

func (p *pretender) log(what string) {
	*p.trace = append(*p.trace, fmt.Sprintf("%g %s %s", time.Since(p.started).Seconds(), p.name, what))
}

func (p *pretender) String() string { return p.name }

func (p *pretender) replace(context.Context) error {
	p.log("replace")
	if p.fails {
		return errors.New("not ready")
	}
	return nil
}

func (p *pretender) lasts(ctx context.Context, d time.Duration) error {
	if p.dies {
		d /= 2
	}
	select {
	case <-time.After(d):
	case <-ctx.Done():
		return ctx.Err()
	}
	if p.dies {
		return errors.New("died young")
	}
	return nil
}

func (p *pretender) restore(context.Context) error {
	p.log("restore")
	if p.cannot {
		return errors.New("no way back")
	}
	return nil
}

// TestRoll replaces one after another, two seconds apart, and ends at the first that
// fails.
func TestRoll(t *testing.T) {
	for name, c := range map[string]struct {
		members []pretender
		end     time.Duration
		trace   string
		err     string
	}{
		"all":                      {members: []pretender{{}, {}, {}}, trace: "0 a replace, 2 b replace, 4 c replace"},
		"none":                     {},
		"the canary":               {members: []pretender{{fails: true}, {}}, trace: "0 a replace", err: "nothing was replaced: not ready"},
		"the canary dies":          {members: []pretender{{dies: true}, {}}, trace: "0 a replace, 1 a restore", err: "nothing was replaced: died young"},
		"and nothing helps":        {members: []pretender{{dies: true, cannot: true}, {}}, trace: "0 a replace, 1 a restore", err: "nothing was replaced: died young; going back failed, too: no way back"},
		"the last":                 {members: []pretender{{}, {}, {fails: true}}, trace: "0 a replace, 2 b replace, 4 c replace", err: "stopped at c (replaced: a, b; as before: c): not ready"},
		"one in the middle":        {members: []pretender{{}, {fails: true}, {}}, trace: "0 a replace, 2 b replace", err: "stopped at b (replaced: a; as before: b, c): not ready"},
		"the server stops between": {members: []pretender{{}, {}}, end: time.Second, trace: "0 a replace", err: "nothing was replaced: context deadline exceeded"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx := t.Context()
				if c.end > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, c.end)
					defer cancel()
				}
				var trace []string
				var members []*pretender
				for i := range c.members {
					m := c.members[i]
					m.name, m.trace, m.started = string(rune('a'+i)), &trace, time.Now()
					members = append(members, &m)
				}
				err := roll(ctx, members)
				if got := strings.Join(trace, ", "); got != c.trace {
					t.Errorf("it did %q, want %q", got, c.trace)
				}
				if (err == nil) != (c.err == "") || err != nil && err.Error() != c.err {
					t.Errorf("it said %v, want %q", err, c.err)
				}
			})
		})
	}
}

// TestOperations admits one at a time, tells everybody all of it, and ends with the
// server.
func TestOperations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []string
		s := operations{tell: func(p Progress) { told = append(told, p.Message) }}
		nothing := func(context.Context, *operation) error { return nil }
		if _, err := s.begin("early", nothing); err == nil {
			t.Error("begun before the server is ready")
		}
		ctx, cancel := context.WithCancel(t.Context())
		s.open(ctx)
		first, err := s.begin("first", func(ctx context.Context, op *operation) error {
			op.say(nil, "one")
			time.Sleep(time.Second)
			op.say(nil, "two")
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.begin("second", nothing); err == nil || !strings.Contains(err.Error(), "'first' is under way") {
			t.Errorf("a second one: %v", err)
		}
		var lines []string
		for w := first.watch(); ; {
			records, err := w.Next(t.Context())
			if err != nil || len(records) == 0 {
				break
			}
			for _, r := range records {
				lines = append(lines, r.(Progress).Message)
			}
		}
		synctest.Wait()
		if want := []string{"one", "two", "first: done"}; !slices.Equal(lines, want) || !slices.Equal(told, want) {
			t.Errorf("read %q, told %q", lines, told)
		}
		third, err := s.begin("third", func(ctx context.Context, _ *operation) error { <-ctx.Done(); return ctx.Err() })
		if err != nil {
			t.Fatal(err)
		}
		s.interrupt()
		s.wait()
		records, err := third.watch().Next(t.Context())
		if err != nil || len(records) != 1 || records[0].(Progress).Code != 1 {
			t.Errorf("the end of the third: %v, %v", records, err)
		}
		if _, err := s.begin("late", nothing); err == nil || !strings.Contains(err.Error(), "stopping") {
			t.Errorf("begun after the end: %v", err)
		}
		cancel()
		early, stop := context.WithCancel(t.Context())
		stop()
		if _, err := (&watcher{o: first, next: 3}).Next(early); err != nil {
			t.Errorf("the end of a finished one: %v", err)
		}
	})
}
