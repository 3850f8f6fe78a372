package e2e

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	_ "google.golang.org/grpc/encoding/gzip" // takes compressed batches
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
)

// receiver is a look-alike of an OpenTelemetry collector: it takes traces by
// OTLP over HTTP and gRPC and keeps them.
type receiver struct {
	collector.UnimplementedTraceServiceServer
	HTTP string // http://127.0.0.1:PORT
	GRPC string // 127.0.0.1:PORT

	mu       sync.Mutex
	spans    []receivedSpan
	resource map[string]string
	keys     []string // what the senders proved themselves with
	faults   []string
}

type receivedSpan struct {
	*trace.Span
	attributes map[string]string
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{}
	web := httptest.NewServer(http.HandlerFunc(r.serve))
	t.Cleanup(web.Close)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("listening for gRPC: %v", err)
	}
	server := grpc.NewServer()
	collector.RegisterTraceServiceServer(server, r)
	go server.Serve(l)
	t.Cleanup(server.Stop)
	r.HTTP, r.GRPC = web.URL, l.Addr().String()
	return r
}

// serve takes a batch by HTTP.
func (r *receiver) serve(w http.ResponseWriter, request *http.Request) {
	body := io.Reader(request.Body)
	var err error
	if request.Header.Get("Content-Encoding") == "gzip" {
		body, err = gzip.NewReader(body)
	}
	var text []byte
	if err == nil {
		text, err = io.ReadAll(body)
	}
	var batch collector.ExportTraceServiceRequest
	if err == nil {
		err = proto.Unmarshal(text, &batch)
	}
	if err != nil || request.URL.Path != "/v1/traces" || request.Header.Get("Content-Type") != "application/x-protobuf" {
		r.mu.Lock()
		r.faults = append(r.faults, fmt.Sprintf("%s %s %s: %v", request.Method, request.URL, request.Header.Get("Content-Type"), err))
		r.mu.Unlock()
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	r.take(&batch, request.Header.Get("X-Receiver-Key"))
}

// Export takes a batch by gRPC.
func (r *receiver) Export(ctx context.Context, batch *collector.ExportTraceServiceRequest) (*collector.ExportTraceServiceResponse, error) {
	sent, _ := metadata.FromIncomingContext(ctx)
	r.take(batch, strings.Join(sent.Get("x-receiver-key"), ","))
	return &collector.ExportTraceServiceResponse{}, nil
}

func (r *receiver) take(batch *collector.ExportTraceServiceRequest, key string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keys = append(r.keys, key)
	for _, resource := range batch.ResourceSpans {
		r.resource = pairs(resource.Resource.Attributes)
		for _, scope := range resource.ScopeSpans {
			for _, span := range scope.Spans {
				r.spans = append(r.spans, receivedSpan{span, pairs(span.Attributes)})
			}
		}
	}
}

func pairs(attributes []*common.KeyValue) map[string]string {
	all := map[string]string{}
	for _, a := range attributes {
		switch v := a.Value.Value.(type) {
		case *common.AnyValue_StringValue:
			all[a.Key] = v.StringValue
		case *common.AnyValue_IntValue:
			all[a.Key] = fmt.Sprint(v.IntValue)
		default:
			all[a.Key] = a.Value.String()
		}
	}
	return all
}

// named are the spans so far with that name.
func (r *receiver) named(name string) (spans []receivedSpan) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, span := range r.spans {
		if span.Name == name {
			spans = append(spans, span)
		}
	}
	return spans
}

// within are the names of the spans whose parent is that span, each once.
func (r *receiver) within(parent receivedSpan) (names []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, span := range r.spans {
		if bytes.Equal(span.ParentSpanId, parent.SpanId) && bytes.Equal(span.TraceId, parent.TraceId) {
			names = append(names, span.Name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// all is everything that was received, as text.
func (r *receiver) all() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var b strings.Builder
	for _, span := range r.spans {
		fmt.Fprintf(&b, "%s trace=%s span=%s parent=%s %v %v %v %v %v\n", span.Name, span.traceID(), hex.EncodeToString(span.SpanId), hex.EncodeToString(span.ParentSpanId),
			span.attributes, span.Events, span.Links, span.Status, span.TraceState)
	}
	return b.String()
}

func (s receivedSpan) traceID() string { return hex.EncodeToString(s.TraceId) }

func (s receivedSpan) spanID() string { return hex.EncodeToString(s.SpanId) }
