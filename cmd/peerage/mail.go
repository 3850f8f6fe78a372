package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"time"

	"peerage/identity"
	"peerage/identity/smtp"
	"peerage/portal"
)

// djangoMail stands for the variables that a Django installation is configured
// with; PEERAGE_SMTP_URL is also read from them.
const djangoMail = "EMAIL_*"

// djangoMailServer writes Django's variables as one address, "" without
// EMAIL_HOST. Unlike Django it demands TLS unless EMAIL_USE_TLS says no.
func djangoMailServer(env map[string]string) (string, error) {
	host := env["EMAIL_HOST"]
	if host == "" {
		return "", nil
	}
	useTLS, err := djangoBool(env, "EMAIL_USE_TLS")
	if err != nil {
		return "", err
	}
	useSSL, err := djangoBool(env, "EMAIL_USE_SSL")
	if err != nil {
		return "", err
	}
	u := url.URL{Scheme: "smtp", Host: host}
	port := env["EMAIL_PORT"]
	if port == "" {
		port = "25"
	}
	switch {
	case useTLS == "true" && useSSL == "true":
		return "", errors.New("EMAIL_USE_TLS and EMAIL_USE_SSL exclude each other")
	case useSSL == "true":
		u.Scheme = "smtps"
		if env["EMAIL_PORT"] == "" {
			port = "465"
		}
	case useTLS == "false":
		u.RawQuery = "tls=off"
	case useTLS == "true" && env["EMAIL_PORT"] == "":
		port = "587"
	}
	u.Host = net.JoinHostPort(host, port)
	if name, password := env["EMAIL_HOST_USER"], env["EMAIL_HOST_PASSWORD"]; name != "" || password != "" {
		u.User = url.UserPassword(name, password)
	}
	return u.String(), nil
}

// djangoBool gives "true", "false" or "" for unset.
func djangoBool(env map[string]string, name string) (string, error) {
	text := env[name]
	if text == "" {
		return "", nil
	}
	b, err := strconv.ParseBool(text)
	if err != nil {
		return "", fmt.Errorf("%s: %q is not true or false", name, text)
	}
	return strconv.FormatBool(b), nil
}

// newSender makes the sender of mails; nil when mail is not configured.
func newSender(s Settings) (*smtp.Sender, error) {
	if s.SMTPURL == "" {
		return nil, nil
	}
	server, err := smtp.ParseServer(string(s.SMTPURL))
	if err != nil {
		return nil, fmt.Errorf("PEERAGE_SMTP_URL: %w", err)
	}
	from, err := smtp.ParseFrom(s.MailFrom)
	if err != nil {
		return nil, fmt.Errorf("PEERAGE_MAIL_FROM: %w", err)
	}
	helo := ""
	if issuer, err := url.Parse(s.Issuer); err == nil {
		helo = issuer.Hostname()
	}
	return smtp.NewSender(server, from, helo), nil
}

// newMailer puts words and sender of mails together; nil when mail is not configured.
func newMailer(s Settings, now func() time.Time) (*identity.Mailer, error) {
	sender, err := newSender(s)
	if err != nil || sender == nil {
		return nil, err
	}
	words, err := portal.NewRenderer(s.brand(), now)
	if err != nil {
		return nil, err
	}
	return &identity.Mailer{Words: words.Mail, Send: sender.Send}, nil
}

// checkMail tries the mail server: it connects, begins TLS and authenticates.
func checkMail(ctx context.Context, s Settings) finding {
	sender, err := newSender(s)
	if err != nil {
		return finding{"mail", "failed", err.Error()}
	}
	if sender == nil {
		return finding{"mail", readyOff, "links are for the administrator to hand over; PEERAGE_SMTP_URL and PEERAGE_MAIL_FROM send them by mail"}
	}
	if err := sender.Check(ctx); err != nil {
		return finding{"mail", "failed", err.Error() + "; correct PEERAGE_SMTP_URL"}
	}
	return finding{"mail", readyOK, "the mail server takes mails from " + s.MailFrom}
}
