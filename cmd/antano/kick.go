package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

func newKick() *cobra.Command {
	var t target
	c := &cobra.Command{
		Use:   "kick CLIENT",
		Short: "End a client, wherever it is connected",
		Long: `End a client in good order: what is owed to it is still sent, for at most 5 s. A datagram
source is forgotten and is a new client when it sends again. CLIENT is an id that
'antano clients SERVICE' shows.`,
		Args: oneArg("CLIENT (an id)"),
		RunE: func(c *cobra.Command, args []string) error {
			control, err := t.connect()
			if err != nil {
				return err
			}
			k, err := control.Kick(c.Context(), args[0])
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "client %d of %s/%d was kicked\n", k.ClientID, k.Service, k.ProcessID)
			return err
		},
	}
	t.register(c)
	return c
}
