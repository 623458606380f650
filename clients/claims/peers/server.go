// A server in Go with net/http, as a reader of docs/check.md may write it. It passes all claims of `check 10` except
// two, because net/http closes without a response if a head is too slow (slow-head), and ignores a length beside a
// transfer coding before the handler can see it (ambiguous-framing).
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"math"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

const bodyBytesMax = 64 << 10

type event struct {
	user   string
	amount int64
}

type counters struct {
	Received  int64 `json:"received"`
	Processed int64 `json:"processed"`
	Dropped   int64 `json:"dropped"`
	Pending   int64 `json:"pending"`
}

type server struct {
	queue    chan event
	workTime time.Duration
	workers  sync.WaitGroup

	mutex    sync.Mutex // guards the fields below
	balances map[string]int64
	counts   counters
	draining bool // no event enters the queue any more
}

// ---- work ----

func (s *server) work() {
	defer s.workers.Done()
	for e := range s.queue {
		time.Sleep(s.workTime) // stands for slow work
		s.mutex.Lock()
		s.balances[e.user] = saturatingAdd(s.balances[e.user], e.amount)
		s.counts.Processed++
		s.counts.Pending--
		s.mutex.Unlock()
	}
}

func saturatingAdd(a, b int64) int64 {
	switch {
	case b > 0 && a > math.MaxInt64-b:
		return math.MaxInt64
	case b < 0 && a < math.MinInt64-b:
		return math.MinInt64
	}
	return a + b
}

// accept queues an event. It returns the reason if it has to refuse the event.
func (s *server) accept(e event) (refusal string) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.counts.Received++
	if s.draining {
		s.counts.Dropped++
		return "shutting_down"
	}
	select {
	case s.queue <- e:
		s.counts.Pending++
		return ""
	default:
		s.counts.Dropped++
		return "server_busy"
	}
}

func (s *server) readCounters() counters {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.counts
}

func (s *server) balance(user string) int64 {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.balances[user]
}

// ---- handle ----

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	reads := r.Method == http.MethodGet || r.Method == http.MethodHead
	switch {
	case r.URL.Path == "/" && r.Method == http.MethodPost:
		s.answerMessage(w, r)
	case r.URL.Path == "/" && reads:
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		io.WriteString(w, "<!doctype html><title>Peer</title><pre>"+s.exposition()+"</pre>")
	case r.URL.Path == "/metrics" && reads:
		w.Header().Set("Content-Type", "text/plain; version=0.0.4")
		io.WriteString(w, s.exposition())
	case r.URL.Path == "/":
		w.Header().Set("Allow", "GET, HEAD, POST")
		respondError(w, http.StatusMethodNotAllowed, "method_not_allowed", "expected GET or POST")
	case r.URL.Path == "/metrics":
		w.Header().Set("Allow", "GET, HEAD")
		respondError(w, http.StatusMethodNotAllowed, "method_not_allowed", "expected GET")
	default:
		respondError(w, http.StatusNotFound, "not_found", "expected / or /metrics")
	}
}

func (s *server) answerMessage(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, bodyBytesMax))
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		respondError(w, http.StatusRequestEntityTooLarge, "body_too_large", err.Error())
		return
	}
	if err != nil {
		respondError(w, http.StatusBadRequest, "bad_request", err.Error())
		return
	}
	var message struct { // a nil pointer is a member that is missing or null
		Type   any     `json:"type"`
		User   *string `json:"user"`
		Action *string `json:"action"`
		Amount *int64  `json:"amount"`
	}
	err = json.Unmarshal(body, &message)
	switch {
	case err != nil:
		respondError(w, http.StatusBadRequest, "invalid_json", err.Error())
	case message.Type == "metrics":
		respond(w, http.StatusOK, s.readCounters())
	case message.Type == "balance" && message.User != nil:
		respond(w, http.StatusOK, map[string]any{"user": *message.User, "balance": s.balance(*message.User)})
	case message.User == nil || message.Action == nil || message.Amount == nil:
		respondError(w, http.StatusBadRequest, "invalid_json", "expected the members user, action and amount")
	default:
		if reason := s.accept(event{*message.User, *message.Amount}); reason != "" {
			w.Header().Set("Retry-After", "1")
			respond(w, http.StatusServiceUnavailable, map[string]string{"status": "rejected", "reason": reason})
			return
		}
		respond(w, http.StatusAccepted, map[string]string{"status": "accepted"})
	}
}

func respond(w http.ResponseWriter, status int, message any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(message)
}

func respondError(w http.ResponseWriter, status int, reason, detail string) {
	respond(w, status, map[string]string{"status": "error", "reason": reason, "detail": detail})
}

// exposition returns the counters in Prometheus' text format.
func (s *server) exposition() string {
	c := s.readCounters()
	const metric = "# TYPE %[1]s %[2]s\n%[1]s %[3]d\n"
	return fmt.Sprintf(metric, "events_received_total", "counter", c.Received) +
		fmt.Sprintf(metric, "events_processed_total", "counter", c.Processed) +
		fmt.Sprintf(metric, "events_dropped_total", "counter", c.Dropped) +
		fmt.Sprintf(metric, "events_pending", "gauge", c.Pending)
}

// ---- run ----

func main() {
	work := flag.Duration("work", 50*time.Millisecond, "the work for an event")
	workers := flag.Int("workers", 16, "how many events the server works on at a time")
	capacity := flag.Int("capacity", 100, "how many events wait for a worker")
	flag.Parse()
	if flag.NArg() != 1 {
		log.Fatal("usage: server [flags] PORT")
	}

	s := &server{queue: make(chan event, *capacity), workTime: *work, balances: map[string]int64{}}
	s.workers.Add(*workers)
	for i := 0; i < *workers; i++ {
		go s.work()
	}

	stop, release := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer release()
	listener, err := net.Listen("tcp", "127.0.0.1:"+flag.Arg(0))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("listening on", listener.Addr())
	web := &http.Server{
		Handler:           s,
		ReadHeaderTimeout: 2 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       30 * time.Second,
		MaxHeaderBytes:    8 << 10,
		ErrorLog:          log.New(io.Discard, "", 0), // it would log each client's error
	}
	go web.Serve(listener)
	<-stop.Done()

	s.mutex.Lock()
	s.draining = true
	s.mutex.Unlock()
	close(s.queue) // no event enters it after `draining` is set
	s.workers.Wait()
	deadline, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	web.Shutdown(deadline) // waits for the clients that have sent a part of a request
	c := s.readCounters()
	fmt.Printf("received=%d processed=%d dropped=%d pending=%d\n", c.Received, c.Processed, c.Dropped, c.Pending)
	if c.Pending > 0 {
		os.Exit(1)
	}
}
