// Command lines speaks for a client in tests: each line of its input goes out as a text
// message, and each message that comes is printed as a line. ANTANO_ADDRESS and
// ANTANO_ENDPOINT say where.
package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/coder/websocket"
)

func main() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ws, _, err := websocket.Dial(ctx, "ws://"+os.Getenv("ANTANO_ADDRESS")+"/"+strings.Trim(os.Getenv("ANTANO_ENDPOINT"), "/"), nil)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	defer ws.CloseNow()
	ws.SetReadLimit(-1)
	go func() {
		defer cancel()
		in := bufio.NewScanner(os.Stdin)
		for in.Buffer(nil, 64<<20); in.Scan(); {
			if ws.Write(ctx, websocket.MessageText, in.Bytes()) != nil {
				return
			}
		}
	}()
	for {
		_, message, err := ws.Read(ctx)
		if err != nil {
			return
		}
		fmt.Printf("%s\n", bytes.ReplaceAll(message, []byte{'\n'}, []byte{' '}))
	}
}
