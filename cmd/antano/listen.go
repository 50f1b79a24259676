package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"

	"github.com/spf13/cobra"

	"github.com/antano/antano/manager"
	"github.com/antano/antano/shared"
)

func newListen() *cobra.Command {
	var t target
	var to shared.Address
	c := &cobra.Command{
		Use:     "listen --entity E --entity-id N",
		Short:   "Join a group of a running server and print what it is sent",
		Long:    "Join a group as a client of the internal service and print every message object, one JSON a line.",
		Example: "  antano listen --entity room --entity-id 7",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if to.Entity == "" || !c.Flags().Changed("entity-id") {
				return usageError("listen needs --entity and --entity-id")
			}
			err := listen(c, t, to)
			if c.Context().Err() != nil {
				return nil // told to end
			}
			return err
		},
	}
	t.register(c)
	addressFlags(c, &to)
	return c
}

func listen(c *cobra.Command, t target, to shared.Address) error {
	conn, err := dialInternal(t)
	if err != nil {
		return err
	}
	defer conn.Close()
	stop := context.AfterFunc(c.Context(), func() { conn.Close() })
	defer stop()
	join, err := json.Marshal(map[string]any{"type": "join", "entity": to.Entity, "entity_id": to.ID, "id": "join"})
	if err != nil {
		return err
	}
	if _, err := conn.Write(append(join, '\n')); err != nil {
		return fmt.Errorf("join %s: %w", to, err)
	}
	in := bufio.NewReaderSize(conn, 64<<10)
	for {
		line, err := in.ReadBytes('\n')
		if err != nil {
			return fmt.Errorf("the server closed the connection: %w", err)
		}
		var m struct {
			Type string `json:"type"`
			Code string `json:"code"`
		}
		if err := json.Unmarshal(line, &m); err != nil {
			return fmt.Errorf("the server sent what is not JSON: %w", err)
		}
		switch m.Type {
		case "joined":
			fmt.Fprintln(c.ErrOrStderr(), "joined", to)
		case "error":
			if _, err := c.OutOrStdout().Write(line); err != nil {
				return err
			}
			return answeredError{m.Code}
		default:
			if _, err := c.OutOrStdout().Write(line); err != nil {
				return err
			}
		}
	}
}

// dialInternal connects to the internal service of the server.
func dialInternal(t target) (net.Conn, error) {
	dir, err := t.runtimeDir()
	if err != nil {
		return nil, err
	}
	control, err := manager.Connect(dir)
	if err != nil {
		return nil, err
	}
	return control.DialInternal()
}
