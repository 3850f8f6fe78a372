package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/mattn/go-isatty"
)

// terminal is where somebody types; nil for a script.
func (p *program) terminal() *os.File {
	file, ok := p.stdin.(*os.File)
	if !ok || !isatty.IsTerminal(file.Fd()) {
		return nil
	}
	return file
}

// confirmed asks when a person is at the other end; a script meant it.
func (p *program) confirmed(ctx context.Context, question string) bool {
	file := p.terminal()
	if file == nil {
		return true
	}
	fmt.Fprint(p.stdout, question)
	answer, _ := typedLine(ctx, bufio.NewReader(file))
	answer = strings.ToLower(strings.TrimSpace(answer))
	return answer == "y" || answer == "yes"
}

// askPassword asks for a new password, twice, for nobody sees what they type.
func (p *program) askPassword(ctx context.Context, file *os.File) (string, error) {
	show, err := hideTyping(file)
	if err != nil {
		return "", fmt.Errorf("hiding what is typed: %w", err)
	}
	defer show()
	reader := bufio.NewReader(file)
	var typed [2]string
	for i, question := range []string{"Password: ", "The same again: "} {
		fmt.Fprint(p.stderr, question)
		line, err := typedLine(ctx, reader)
		fmt.Fprintln(p.stderr)
		if err != nil {
			return "", fmt.Errorf("reading the password: %w", err)
		}
		typed[i] = strings.TrimSuffix(line, "\n")
	}
	if typed[0] != typed[1] {
		return "", errors.New("the two passwords differ")
	}
	return typed[0], typeable(typed[0])
}

// typedLine reads a line for as long as nobody presses Ctrl-C: the read itself
// would wait for the end of the line all the same.
func typedLine(ctx context.Context, from *bufio.Reader) (string, error) {
	type read struct {
		line string
		err  error
	}
	done := make(chan read, 1)
	go func() {
		line, err := from.ReadString('\n')
		if errors.Is(err, io.EOF) && line != "" {
			err = nil
		}
		done <- read{line, err}
	}()
	select {
	case <-ctx.Done():
		return "", errors.New("interrupted")
	case r := <-done:
		return r.line, r.err
	}
}
