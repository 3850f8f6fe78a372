package main

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// lookEvery bounds how often the files of the certificate are looked at.
const lookEvery = time.Second

// certificate is a TLS certificate that follows its files.
type certificate struct {
	certFile, keyFile string
	log               *slog.Logger
	now               func() time.Time

	mu      sync.Mutex
	current *tls.Certificate
	stamp   string
	looked  time.Time
}

// newCertificate reads the files for the first time.
func newCertificate(certFile, keyFile string, log *slog.Logger, now func() time.Time) (*certificate, error) {
	c := &certificate{certFile: certFile, keyFile: keyFile, log: log, now: now}
	stamp, err := c.filesStamp()
	if err != nil {
		return nil, fmt.Errorf("reading PEERAGE_TLS_CERT and PEERAGE_TLS_KEY: %w", err)
	}
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil, fmt.Errorf("reading PEERAGE_TLS_CERT and PEERAGE_TLS_KEY: %w", err)
	}
	c.current, c.stamp, c.looked = &pair, stamp, now()
	return c, nil
}

// get implements tls.Config.GetCertificate. Files that do not fit together
// (one of two is written, the other not yet) leave the old pair in force.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.now().Sub(c.looked) < lookEvery {
		return c.current, nil
	}
	c.looked = c.now()
	stamp, err := c.filesStamp()
	if err != nil || stamp == c.stamp {
		if err != nil {
			c.log.Warn("looking at the TLS certificate", "error", err)
		}
		return c.current, nil
	}
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		c.log.Warn("reading the TLS certificate again; the old one stays in force", "error", err)
		return c.current, nil
	}
	c.current, c.stamp = &pair, stamp
	c.log.Info("read the TLS certificate again", "file", c.certFile)
	return c.current, nil
}

// filesStamp changes when one of the files does.
func (c *certificate) filesStamp() (string, error) {
	var stamp string
	for _, path := range []string{c.certFile, c.keyFile} {
		info, err := os.Stat(path)
		if err != nil {
			return "", err
		}
		stamp += fmt.Sprintf("%d:%d ", info.ModTime().UnixNano(), info.Size())
	}
	return stamp, nil
}
