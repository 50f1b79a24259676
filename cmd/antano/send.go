package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/antano/antano/shared"
)

// answeredError ends a command with 1 after the server's own answer was printed.
type answeredError struct{ code string }

func (e answeredError) Error() string { return "the server answered " + e.code }

func newSend() *cobra.Command {
	var t target
	var to shared.Address
	var process int
	var receipt bool
	c := &cobra.Command{
		Use:   "send [flags] MESSAGE|-",
		Short: "Send a message through a running server",
		Long: `Send a message as a client of the internal service. MESSAGE is JSON if it parses,
else a string; with - each line of standard input is one message. With --receipt the
answer is printed, and an error ends the command with 1.`,
		Example: `  antano send --entity room --entity-id 7 '{"text": "hello"}'
  antano send --receipt --entity service --entity-id 9 ping`,
		Args: oneArg("MESSAGE or -"),
		RunE: func(c *cobra.Command, args []string) error {
			if err := checkAddress(c, to); err != nil {
				return err
			}
			messages := io.Reader(strings.NewReader(args[0]))
			if args[0] == "-" {
				messages = c.InOrStdin()
			}
			s := sender{to: to, process: process, named: c.Flags().Changed("process-id"), receipt: receipt, out: c.OutOrStdout()}
			return s.run(c.Context(), t, messages, args[0] == "-")
		},
	}
	t.register(c)
	addressFlags(c, &to)
	c.Flags().IntVar(&process, "process-id", 0, "only in this process")
	c.Flags().BoolVar(&receipt, "receipt", false, "wait for the answer and print it")
	return c
}

func addressFlags(c *cobra.Command, to *shared.Address) {
	c.Flags().StringVar(&to.Entity, "entity", "", "client, service, or the name of a group")
	c.Flags().Int64Var(&to.ID, "entity-id", 0, "id of the entity")
}

func checkAddress(c *cobra.Command, to shared.Address) error {
	if c.Flags().Changed("entity") != c.Flags().Changed("entity-id") {
		return usageError("--entity and --entity-id go together")
	}
	return nil
}

// sender writes messages to the internal service and reads what comes back.
type sender struct {
	to      shared.Address
	process int
	named   bool // process was given; 0 is a process too
	receipt bool
	out     io.Writer
}

type outgoing struct {
	Entity    string          `json:"entity,omitempty"`
	EntityID  *int64          `json:"entity_id,omitempty"`
	ProcessID *int            `json:"process_id,omitempty"`
	Message   json.RawMessage `json:"message"`
	ID        *int            `json:"id,omitempty"`
}

func (s *sender) run(ctx context.Context, t target, messages io.Reader, lines bool) error {
	conn, err := dialInternal(t)
	if err != nil {
		return err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	answers := bufio.NewReaderSize(conn, 64<<10)
	if !lines {
		text, err := io.ReadAll(messages)
		if err != nil {
			return err
		}
		return s.one(conn, answers, text, 1)
	}
	in := bufio.NewReader(messages)
	var failed error
	for n := 1; ; n++ {
		line, err := in.ReadBytes('\n')
		if text := strings.TrimRight(string(line), "\r\n"); text != "" {
			if e := s.one(conn, answers, []byte(text), n); e != nil {
				var answered answeredError
				if !errors.As(e, &answered) {
					return e
				}
				failed = e
			}
		}
		if err == io.EOF {
			return failed
		}
		if err != nil {
			return fmt.Errorf("read standard input: %w", err)
		}
	}
}

// answerTime bounds the wait for an answer, which the server owes within 5 s.
const answerTime = 10 * time.Second

// one sends a message and waits until the server has taken it: for the receipt, or
// for the pong behind it, so that an error answer without id is seen too.
func (s *sender) one(conn net.Conn, answers *bufio.Reader, text []byte, n int) error {
	m := outgoing{Entity: s.to.Entity, Message: asJSON(text)}
	if m.Entity != "" {
		m.EntityID = &s.to.ID
	}
	if s.named {
		m.ProcessID = &s.process
	}
	if s.receipt {
		m.ID = &n
	}
	line, err := json.Marshal(m)
	if err != nil {
		return err
	}
	line = append(line, '\n')
	if !s.receipt {
		line = fmt.Appendf(line, "{\"type\":\"ping\",\"id\":%d}\n", n)
	}
	if err := conn.SetDeadline(time.Now().Add(answerTime)); err != nil {
		return err
	}
	if _, err := conn.Write(line); err != nil {
		return fmt.Errorf("send to the internal service: %w", err)
	}
	for {
		answer, err := answers.ReadBytes('\n')
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return fmt.Errorf("the server did not answer within %s, so it is unknown whether it took the message; look at 'antano status'", answerTime)
		}
		if err != nil {
			return fmt.Errorf("the server closed the connection before it answered: %w", err)
		}
		var a struct {
			Type string `json:"type"`
			Code string `json:"code"`
		}
		if err := json.Unmarshal(answer, &a); err != nil {
			return fmt.Errorf("answer of the server is not JSON: %w", err)
		}
		switch a.Type {
		case "receipt", "error":
			if _, err := s.out.Write(answer); err != nil {
				return err
			}
			if a.Type == "error" {
				return answeredError{a.Code}
			}
			return nil
		case "pong":
			return nil
		}
	}
}

// asJSON is the rule for MESSAGE: JSON if it parses, else a string.
func asJSON(text []byte) json.RawMessage {
	if json.Valid(text) {
		return text
	}
	b, _ := json.Marshal(string(text)) // a string always marshals
	return b
}
