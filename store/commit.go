package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// committer runs the transactions of a SQLite file one after the other on one
// connection. Those that wait while a commit is on its way to the disk share
// the next one (group commit): each runs inside a savepoint, and none is
// answered before the commit that holds it is durable, not even one that failed:
// it may have failed by what another of them wrote.
type committer struct {
	on   *statements
	conn *sql.Conn
	jobs chan *job
	done chan struct{}
}

// job is one transaction that waits for its commit.
type job struct {
	run      func() error
	err      error
	panicked any
	finished chan struct{}
}

// maxGroup bounds how long the first of a group waits for the others.
const maxGroup = 64

func newCommitter(ctx context.Context, db *sql.DB) (*committer, error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	c := &committer{on: newStatements(conn), conn: conn, jobs: make(chan *job), done: make(chan struct{})}
	go c.loop()
	return c, nil
}

// do runs f as one transaction. The statements do not stop with ctx: SQLite
// answers an interrupted one by rolling back the whole transaction, which
// others share.
func (c *committer) do(ctx context.Context, f func(context.Context) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	j := &job{finished: make(chan struct{})}
	j.run = func() error { return f(context.WithoutCancel(ctx)) }
	select {
	case c.jobs <- j:
	case <-c.done:
		return sql.ErrConnDone
	case <-ctx.Done():
		return ctx.Err()
	}
	<-j.finished
	if j.panicked != nil {
		panic(j.panicked) // in the caller, who knows what to do about it
	}
	return j.err
}

func (c *committer) close() error {
	select {
	case <-c.done:
		return nil
	default:
	}
	stop := &job{finished: make(chan struct{})} // without work: the last
	c.jobs <- stop
	<-c.done
	return errors.Join(c.on.close(), c.conn.Close())
}

func (c *committer) loop() {
	defer close(c.done)
	for j := range c.jobs {
		if j.run == nil || !c.group(j) {
			return
		}
	}
}

// group runs a transaction and those that wait behind it, and commits them
// together. It returns false when the committer has to stop.
func (c *committer) group(first *job) (more bool) {
	more = true
	var held []*job // those that ran and wait for the commit
	err := c.exec("BEGIN IMMEDIATE")
	if err != nil {
		// The rollback is for what an earlier one may have left behind.
		finish([]*job{first}, errors.Join(fmt.Errorf("beginning a transaction: %w", err), c.rollback()))
		return true
	}
	for j, n := first, 1; ; n++ {
		var ran bool
		if ran, err = c.runOne(j); ran {
			held = append(held, j)
		}
		if err != nil || n == maxGroup {
			break
		}
		select {
		case j = <-c.jobs:
		default:
			j = nil
		}
		if j == nil || j.run == nil {
			more = j == nil
			break
		}
	}
	if err == nil {
		err = c.exec("COMMIT")
	}
	if err != nil {
		err = errors.Join(fmt.Errorf("committing: %w", err), c.rollback())
	}
	finish(held, err)
	return more
}

// runOne runs one transaction inside a savepoint. When it fails it is undone;
// err is not nil when the whole group is lost, because SQLite has undone it
// (disk full, I/O error).
func (c *committer) runOne(j *job) (held bool, err error) {
	if err := c.exec("SAVEPOINT job"); err != nil {
		finish([]*job{j}, err)
		return false, err
	}
	j.call()
	if j.err == nil && j.panicked == nil {
		err := c.exec("RELEASE job")
		return true, err
	}
	err = c.exec("ROLLBACK TO job")
	if err == nil {
		err = c.exec("RELEASE job")
	}
	if err != nil {
		err = errors.Join(j.err, err) // what undid it is what the others want to know
	}
	return true, err
}

func (j *job) call() {
	defer func() { j.panicked = recover() }()
	j.err = j.run()
}

// finish answers; without err each with what it came to itself.
func finish(jobs []*job, err error) {
	for _, j := range jobs {
		if err != nil {
			j.err = err
		}
		close(j.finished)
	}
}

// rollback ends a transaction that did not commit; SQLite may have done so itself.
func (c *committer) rollback() error {
	err := c.exec("ROLLBACK")
	if err != nil && sqliteNoTransaction(err) {
		return nil
	}
	return err
}

func (c *committer) exec(statement string) error {
	_, err := c.on.ExecContext(context.Background(), statement)
	return err
}
