package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
)

// connection speaks just enough HTTP/1.1 to keep the load's own cost small.
type connection struct {
	conn   net.Conn
	reader *bufio.Reader
	body   []byte
	// location and cookies of the last answer.
	location string
	cookies  []string
}

func dial(address string) (*connection, error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	return &connection{conn: conn, reader: bufio.NewReaderSize(conn, 16<<10)}, nil
}

// send writes a request and reads its answer; the body stays valid until the
// next one.
func (c *connection) send(request []byte) (status int, err error) {
	if _, err := c.conn.Write(request); err != nil {
		return 0, err
	}
	c.location, c.cookies = "", c.cookies[:0]
	line, err := c.reader.ReadSlice('\n')
	if err != nil {
		return 0, err
	}
	if len(line) < 12 {
		return 0, errors.New("not HTTP")
	}
	if status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return 0, err
	}
	length := -1
	chunked := false
	for {
		line, err := c.reader.ReadSlice('\n')
		if err != nil {
			return 0, err
		}
		if line = bytes.TrimRight(line, "\r\n"); len(line) == 0 {
			break
		}
		name, value, _ := bytes.Cut(line, []byte(": "))
		switch string(name) {
		case "Content-Length":
			if length, err = strconv.Atoi(string(value)); err != nil {
				return 0, err
			}
		case "Transfer-Encoding":
			chunked = true
		case "Location":
			c.location = string(value)
		case "Set-Cookie":
			cookie, _, _ := bytes.Cut(value, []byte(";"))
			c.cookies = append(c.cookies, string(cookie))
		}
	}
	return status, c.read(length, chunked, status)
}

func (c *connection) read(length int, chunked bool, status int) error {
	c.body = c.body[:0]
	switch {
	case chunked:
		for {
			line, err := c.reader.ReadSlice('\n')
			if err != nil {
				return err
			}
			n, err := strconv.ParseInt(string(bytes.TrimSpace(line)), 16, 32)
			if err != nil {
				return err
			}
			if err := c.take(int(n)); err != nil {
				return err
			}
			if _, err := c.reader.Discard(2); err != nil || n == 0 {
				return err
			}
		}
	case length > 0:
		return c.take(length)
	case length < 0 && status != 204 && status != 304:
		return fmt.Errorf("status %d without a length", status)
	}
	return nil
}

func (c *connection) take(n int) error {
	begin := len(c.body)
	if cap(c.body) < begin+n {
		c.body = append(make([]byte, 0, 2*(begin+n)), c.body...)
	}
	c.body = c.body[:begin+n]
	_, err := io.ReadFull(c.reader, c.body[begin:])
	return err
}

// member is a string member of the JSON object in the last answer.
func (c *connection) member(name string) string {
	_, rest, ok := bytes.Cut(c.body, []byte(`"`+name+`":"`))
	if !ok {
		return ""
	}
	value, _, _ := bytes.Cut(rest, []byte(`"`))
	return string(value)
}

// get and post write requests as text; headers end in CRLF each.
func get(path, headers string) []byte {
	return []byte("GET " + path + " HTTP/1.1\r\nHost: localhost\r\n" + headers + "\r\n")
}

func post(path, headers, form string) []byte {
	return fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n%s\r\n%s", path, len(form), headers, form)
}
