// Command peerage is an OpenID Connect identity provider with a portal for
// the people who sign in through it.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kong"
)

// Exit codes.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

// commandLine is every command. The flags of the settings come on top.
type commandLine struct {
	Serve   serveCommand    `cmd:"" help:"Run the server."`
	Demo    demoCommand     `cmd:"" help:"Show a complete, seeded installation on loopback, with a sample application."`
	Migrate migrateCommand  `cmd:"" help:"Bring the database's schema up to date; make the database if there is none."`
	Check   checkCommand    `cmd:"" help:"Read the settings, try every connection and say what to do."`
	Health  healthCommand   `cmd:"" help:"Ask the server of this machine whether it is ready."`
	User    userCommands    `cmd:"" help:"People."`
	Group   groupCommands   `cmd:"" help:"Local groups."`
	Client  clientCommands  `cmd:"" help:"OpenID Connect clients: the applications that people sign in to."`
	Key     keyCommands     `cmd:"" help:"Signing keys."`
	Event   eventCommands   `cmd:"" help:"The audit trail: who did what, when and from where."`
	Openbao openbaoCommands `cmd:"" help:"The OpenBao server that keeps people's passwords."`
	Import  importCommands  `cmd:"" help:"Take over from another provider."`
	Backup  backupCommand   `cmd:"" help:"Copy the database while the server runs (SQLite)."`
	Restore restoreCommand  `cmd:"" help:"Put a copy in the place of the database (SQLite)."`
	Version versionCommand  `cmd:"" help:"Print version, commit and Go version."`
}

// program is one run of the command line.
type program struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	environ        []string
	flags          settingFlags
	now            func() time.Time
}

// input opens a file that a command reads; - is standard input.
func (p *program) input(name string) (io.ReadCloser, error) {
	if name == "-" {
		return io.NopCloser(p.stdin), nil
	}
	return os.Open(name)
}

// readInput reads such a file whole; most is how many bytes it may have. doing
// says in the error what it is read for.
func (p *program) readInput(name string, most int, doing string) ([]byte, error) {
	from, err := p.input(name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	defer from.Close()
	data, err := io.ReadAll(io.LimitReader(from, int64(most)+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	if len(data) > most {
		return nil, fmt.Errorf("%s has more than %d bytes", name, most)
	}
	return data, nil
}

func main() {
	ballast := newBallast()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	// A second signal ends a process that takes too long to stop.
	context.AfterFunc(ctx, stop)
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr, os.Environ())
	stop()
	runtime.KeepAlive(ballast)
	os.Exit(code)
}

// left is what a panic carries when kong wants to exit (after --help).
type left int

// run runs one command and returns the exit code. It touches nothing of the
// process but what it is given, the file system and the network.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer, environ []string) (code int) {
	defer func() {
		switch v := recover().(type) {
		case nil:
		case left:
			code = int(v)
		default:
			panic(v)
		}
	}()
	answer := &answerWriter{to: stdout}
	p := &program{stdin: stdin, stdout: answer, stderr: stderr, environ: environ, flags: newSettingFlags(), now: time.Now}
	var commands commandLine
	parser, err := kong.New(&commands,
		kong.Name("peerage"),
		kong.Description("peerage is an OpenID Connect identity provider with a portal for its people.\n\n"+
			"Every command takes the settings of `peerage serve --help`, as flags and from the environment."),
		kong.Embed(p.flags.pointer.Interface()),
		kong.ExplicitGroups([]kong.Group{{Key: "settings", Title: "Settings, as flags, in the environment, or in files (NAME_FILE):"}}),
		kong.Writers(stdout, stderr),
		kong.Exit(func(code int) { panic(left(code)) }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}),
		kong.Help(printHelp),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(p),
	)
	if err != nil {
		return p.tell(fmt.Errorf("building the command line: %w", err))
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	command, err := parser.Parse(args)
	if err != nil {
		return p.tell(usageError{err})
	}
	err = command.Run()
	if err == nil && answer.fault != nil {
		err = fmt.Errorf("it was done, but the answer could not be written, and a secret in it is lost: %w", answer.fault)
	}
	return p.tell(err)
}

// answerWriter remembers the first answer that could not be written: a new
// secret that nobody has seen must not look like success.
type answerWriter struct {
	to    io.Writer
	fault error
}

// Write implements io.Writer.
func (w *answerWriter) Write(b []byte) (int, error) {
	n, err := w.to.Write(b)
	if err != nil && w.fault == nil {
		w.fault = err
	}
	return n, err
}

// printHelp leaves the many flags of the settings to the commands about them.
func printHelp(options kong.HelpOptions, ctx *kong.Context) error {
	selected := ctx.Selected()
	all := selected != nil && (selected.Name == "serve" || selected.Name == "check")
	for _, group := range ctx.Flags() {
		if group.Group != nil && group.Group.Key == "settings" && !all {
			group.Hidden = true
		}
	}
	return kong.DefaultHelpPrinter(options, ctx)
}

// usageError is a fault of how the command was called.
type usageError struct{ error }

// Unwrap gives the fault itself.
func (e usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// errTold ends a command that has already said what is wrong.
var errTold = errors.New("told")

// tell prints an error, one line a fault, and returns the exit code.
func (p *program) tell(err error) int {
	if err == nil {
		return exitDone
	}
	if errors.Is(err, errTold) {
		return exitFailed
	}
	code := exitFailed
	var usage usageError
	var faults settingFaults
	switch {
	case errors.As(err, &faults):
		code = exitUsage
	case errors.As(err, &usage):
		code = exitUsage
	}
	for line := range strings.SplitSeq(err.Error(), "\n") {
		fmt.Fprintf(p.stderr, "peerage: %s\n", line)
	}
	if code == exitUsage && faults == nil {
		fmt.Fprintln(p.stderr, "peerage: add --help for what there is")
	}
	return code
}

// settings reads the settings; the error names every fault.
func (p *program) settings(required ...string) (Settings, error) {
	return readSettings(p.flags, p.environ, required...)
}
