//go:build linux

package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// pseudoTerminal is a terminal and who sits at it.
func pseudoTerminal(t *testing.T) (person, terminal *os.File) {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("there are no pseudo terminals here: %v", err)
	}
	t.Cleanup(func() { person.Close() })
	number, err := unix.IoctlGetInt(int(person.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(person.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	if terminal, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { terminal.Close() })
	return person, terminal
}

// atTerminal runs a command and types an answer to each question that ends with
// ": " or "] "; "^C" interrupts. It returns the exit code, what was asked and
// told, and what the terminal showed of the typing.
func atTerminal(t *testing.T, args []string, answers ...string) (code int, told, shown string) {
	t.Helper()
	person, terminal := pseudoTerminal(t)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	echoed := make(chan string, 1)
	go func() {
		all, _ := io.ReadAll(person) // ends with an error, when nobody has the terminal any more
		echoed <- string(all)
	}()
	out, in := io.Pipe()
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, args, terminal, in, in, nil)
		in.Close()
	}()
	reader := bufio.NewReader(out)
	for {
		b, err := reader.ReadByte()
		if err != nil {
			break
		}
		told += string(b)
		if len(answers) == 0 || !strings.HasSuffix(told, ": ") && !strings.HasSuffix(told, "] ") {
			continue
		}
		if answers[0] == "^C" {
			cancel()
		} else if _, err := person.WriteString(answers[0] + "\n"); err != nil {
			t.Fatal(err)
		}
		answers = answers[1:]
	}
	code = <-ended
	person.WriteString("\n") // whoever was interrupted still reads
	terminal.Close()
	return code, told, <-echoed
}

func TestPasswordIsAskedForAtATerminal(t *testing.T) {
	const password = "correct horse battery staple"
	database := "--database=" + filepath.Join(t.TempDir(), "p.db")
	if code := run(t.Context(), []string{"migrate", database}, strings.NewReader(""), io.Discard, io.Discard, nil); code != exitDone {
		t.Fatalf("migrate: %d", code)
	}
	create := []string{"user", "create", "ada", "--group", "admins", "--password-stdin", database}
	for name, c := range map[string]struct {
		answers []string
		told    string
	}{
		"two passwords": {[]string{password, "another password here"}, "the two passwords differ"},
		"interrupted":   {[]string{password, "^C"}, "interrupted"},
		"nothing":       {[]string{"", ""}, "the password is empty"},
	} {
		if code, told, _ := atTerminal(t, create, c.answers...); code != exitFailed || !strings.Contains(told, c.told) {
			t.Errorf("%s: %d, %q", name, code, told)
		}
	}
	code, told, shown := atTerminal(t, create, password, password)
	if code != exitDone || !strings.HasPrefix(told, "Password: \nThe same again: \nmade ada ") || strings.Contains(shown, "horse") {
		t.Errorf("%d, %q; the terminal showed %q", code, told, shown)
	}
	// Ctrl-C ends a question at once.
	remove := []string{"user", "delete", "ada", database}
	if code, told, _ := atTerminal(t, remove, "^C"); code != exitFailed || !strings.Contains(told, "ada was not deleted") {
		t.Errorf("interrupted: %d, %q", code, told)
	}
}
