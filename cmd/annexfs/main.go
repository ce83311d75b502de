// Command annexfs registers versioned datasets, stores their files and mounts them as a directory tree.
//
// One file holds one group of commands. Data goes to stdout, everything else to stderr. A command returns its error; only
// main exits, with the status that exit.go has for the kind of error.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	go func() {
		<-ctx.Done()
		stop() // a second signal ends the program at once
	}()
	a := &app{stdio: stdio{in: os.Stdin, out: os.Stdout, err: os.Stderr}, settle: quietMonitor}
	err := a.run(ctx, os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, message(err))
	}
	stop()
	os.Exit(status(err))
}
