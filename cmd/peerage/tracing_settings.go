package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
)

// Values of OTEL_EXPORTER_OTLP_PROTOCOL that there is code for.
const (
	protocolGRPC = "grpc"
	protocolHTTP = "http/protobuf"
)

// traceSettings are what OpenTelemetry's variables say about traces. They have
// no flags and no files: what they are called and mean is not ours to decide.
// The rest of them (headers, certificates, sampler, batches, limits) is read
// by OpenTelemetry's own packages; here they are only checked.
type traceSettings struct {
	// Endpoint is where the OTLP receiver listens, "" when nothing is traced:
	// a URL, or host:port for gRPC.
	Endpoint string
	Protocol string
	// Insecure: gRPC to a host:port without TLS.
	Insecure bool
	// IgnoreTraceparent: OTEL_PROPAGATORS does not name tracecontext.
	IgnoreTraceparent bool
}

// on tells whether anything is traced.
func (t traceSettings) on() bool { return t.Endpoint != "" }

// otlpVariables reads variables of an OTLP exporter: one for traces alone wins
// over the one for all signals.
type otlpVariables map[string]string

func (env otlpVariables) find(name string) (variable, value string) {
	for _, prefix := range []string{"OTEL_EXPORTER_OTLP_TRACES_", "OTEL_EXPORTER_OTLP_"} {
		if value := env[prefix+name]; value != "" {
			return prefix + name, value
		}
	}
	return "OTEL_EXPORTER_OTLP_" + name, ""
}

// readTraces finds out whether and where to send traces. While no endpoint is
// set, the other variables concern nobody here and are not looked at.
func readTraces(env otlpVariables) (t traceSettings, faults []error) {
	variable, endpoint := env.find("ENDPOINT")
	exporter := env["OTEL_TRACES_EXPORTER"]
	if endpoint == "" || exporter == "none" || strings.EqualFold(env["OTEL_SDK_DISABLED"], "true") {
		return traceSettings{}, nil
	}
	fault := func(variable string, err error) {
		if err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", variable, err))
		}
	}
	if exporter != "" && exporter != "otlp" {
		fault("OTEL_TRACES_EXPORTER", fmt.Errorf("%q is not one of otlp, none", exporter))
	}
	protocolVariable, protocol := env.find("PROTOCOL")
	t = traceSettings{Endpoint: endpoint, Protocol: protocol}
	switch protocol {
	case "":
		t.Protocol = protocolHTTP
	case protocolHTTP, protocolGRPC:
	default:
		fault(protocolVariable, fmt.Errorf("%q is not one of %s, %s", protocol, protocolGRPC, protocolHTTP))
	}
	fault(variable, checkEndpoint(endpoint, t.Protocol))
	if t.Protocol == protocolHTTP {
		t.Endpoint = tracesURL(endpoint, variable == "OTEL_EXPORTER_OTLP_ENDPOINT")
	}
	_, insecure := env.find("INSECURE")
	t.Insecure = strings.EqualFold(insecure, "true")
	if propagators := env["OTEL_PROPAGATORS"]; propagators != "" {
		t.IgnoreTraceparent = !slices.Contains(list(propagators), "tracecontext")
	}
	return t, append(faults, env.check()...)
}

// tracesURL: the address for all signals is a base, the one for traces alone is
// used as it is.
func tracesURL(endpoint string, base bool) string {
	if base {
		return strings.TrimSuffix(endpoint, "/") + "/v1/traces"
	}
	if u, err := url.Parse(endpoint); err == nil && u.Path == "" {
		return endpoint + "/"
	}
	return endpoint
}

// checkEndpoint: OpenTelemetry would take what it cannot read for its default
// and send traces to nowhere.
func checkEndpoint(endpoint, protocol string) error {
	if protocol == protocolGRPC && !strings.Contains(endpoint, "://") {
		if host, port, err := net.SplitHostPort(endpoint); err != nil || host == "" || port == "" {
			return fmt.Errorf("%q is neither a URL nor of the form collector.example.net:4317", endpoint)
		}
		return nil
	}
	u, err := url.Parse(endpoint)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return errors.New("is not a URL such as http://127.0.0.1:4318") // a wrong one may still hold a password
	case u.User != nil:
		return errors.New("must not have a user name; what proves who sends belongs into OTEL_EXPORTER_OTLP_HEADERS")
	case u.RawQuery != "" || u.Fragment != "":
		return errors.New("must not have a query or fragment; what proves who sends belongs into OTEL_EXPORTER_OTLP_HEADERS")
	}
	return nil
}

// check holds the variables that OpenTelemetry's packages read against what
// those would ignore with a word to nobody. No fault shows a header: they are
// secrets.
func (env otlpVariables) check() (faults []error) {
	for _, rule := range []struct {
		names []string
		check func(string) error
	}{
		{[]string{"OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS"}, checkHeaders},
		{[]string{"OTEL_EXPORTER_OTLP_COMPRESSION", "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION"}, oneOf("gzip", "none")},
		{[]string{"OTEL_EXPORTER_OTLP_INSECURE", "OTEL_EXPORTER_OTLP_TRACES_INSECURE"}, oneOf("true", "false")},
		{[]string{"OTEL_EXPORTER_OTLP_CERTIFICATE", "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE"}, checkCertificates},
		{[]string{"OTEL_EXPORTER_OTLP_TIMEOUT", "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_BSP_SCHEDULE_DELAY", "OTEL_BSP_EXPORT_TIMEOUT",
			"OTEL_BSP_MAX_QUEUE_SIZE", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE"}, checkPositive},
		{[]string{"OTEL_TRACES_SAMPLER"}, oneOf("always_on", "always_off", "traceidratio", "parentbased_always_on", "parentbased_always_off", "parentbased_traceidratio")},
	} {
		for _, name := range rule.names {
			if value := env[name]; value != "" {
				if err := rule.check(value); err != nil {
					faults = append(faults, fmt.Errorf("%s: %w", name, err))
				}
			}
		}
	}
	for _, prefix := range []string{"OTEL_EXPORTER_OTLP_", "OTEL_EXPORTER_OTLP_TRACES_"} {
		certificate, key := env[prefix+"CLIENT_CERTIFICATE"], env[prefix+"CLIENT_KEY"]
		if certificate != "" || key != "" {
			if _, err := tls.LoadX509KeyPair(certificate, key); err != nil {
				faults = append(faults, fmt.Errorf("%[1]sCLIENT_CERTIFICATE and %[1]sCLIENT_KEY: %[2]w", prefix, err))
			}
		}
	}
	if strings.HasSuffix(strings.ToLower(env["OTEL_TRACES_SAMPLER"]), "traceidratio") {
		if arg := env["OTEL_TRACES_SAMPLER_ARG"]; arg != "" {
			if ratio, err := strconv.ParseFloat(arg, 64); err != nil || !(ratio >= 0 && ratio <= 1) {
				faults = append(faults, fmt.Errorf("OTEL_TRACES_SAMPLER_ARG: %q is not a number from 0 to 1", arg))
			}
		}
	}
	return faults
}

func oneOf(words ...string) func(string) error {
	return func(value string) error {
		if !slices.Contains(words, strings.ToLower(strings.TrimSpace(value))) {
			return fmt.Errorf("%q is not one of %s", value, strings.Join(words, ", "))
		}
		return nil
	}
}

func checkPositive(value string) error {
	if n, err := strconv.Atoi(value); err != nil || n <= 0 || n > 1<<31-1 {
		return fmt.Errorf("%q is not a whole number above 0", value)
	}
	return nil
}

func checkHeaders(value string) error {
	for i, pair := range strings.Split(value, ",") {
		name, text, found := strings.Cut(pair, "=")
		if !found || strings.TrimSpace(name) == "" || strings.ContainsFunc(strings.TrimSpace(name), func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(`()<>@,;:\"/[]?={}`, r) }) {
			return fmt.Errorf("entry %d is not of the form name=value", i+1)
		}
		if _, err := url.PathUnescape(text); err != nil {
			return fmt.Errorf("the value of entry %d is not percent-encoded", i+1)
		}
	}
	return nil
}

func checkCertificates(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if !x509.NewCertPool().AppendCertsFromPEM(text) {
		return fmt.Errorf("%s holds no certificate (PEM)", path)
	}
	return nil
}
