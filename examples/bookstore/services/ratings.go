// Stars that readers gave. The Go twin of ratings.ts, standard library only.
package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// How it is to misbehave; POST /fault sets it, as in service.ts.
type misbehaviour struct {
	sync.Mutex
	delayMs, failures, status int
}

func (fault *misbehaviour) set(request *http.Request) {
	fault.Lock()
	defer fault.Unlock()
	fault.delayMs = number(request, "delayMs", 0)
	fault.failures = number(request, "failures", 0)
	fault.status = number(request, "status", 503)
}

// next says how long to wait, and the status to fail with, 0 for none.
func (fault *misbehaviour) next() (time.Duration, int) {
	fault.Lock()
	defer fault.Unlock()
	delay := time.Duration(fault.delayMs) * time.Millisecond
	if fault.failures <= 0 {
		return delay, 0
	}
	fault.failures--
	return delay, fault.status
}

func number(request *http.Request, name string, otherwise int) int {
	value, err := strconv.Atoi(request.URL.Query().Get(name))
	if err != nil {
		return otherwise
	}
	return value
}

func reply(writer http.ResponseWriter, status int, body any) {
	writer.Header().Set("content-type", "application/json")
	writer.WriteHeader(status)
	if err := json.NewEncoder(writer).Encode(body); err != nil {
		fmt.Fprintln(os.Stderr, "a reply could not be sent:", err)
	}
}

func main() {
	instance := os.Getenv("SLUICE_INSTANCE")
	fault := &misbehaviour{status: 503}
	http.HandleFunc("GET /healthz", func(writer http.ResponseWriter, _ *http.Request) { fmt.Fprintln(writer, "ok") })
	http.HandleFunc("POST /fault", func(writer http.ResponseWriter, request *http.Request) {
		fault.set(request)
		reply(writer, http.StatusOK, map[string]any{"instance": instance})
	})
	http.HandleFunc("/ratings/", func(writer http.ResponseWriter, request *http.Request) {
		delay, status := fault.next()
		time.Sleep(delay)
		if status != 0 {
			reply(writer, status, map[string]any{"error": instance + " fails on purpose"})
			return
		}
		id := strings.TrimPrefix(request.URL.Path, "/ratings/")
		reply(writer, http.StatusOK, map[string]any{"instance": instance, "language": "Go", "id": id, "stars": []int{5, 4}})
	})
	listener, err := net.Listen("tcp", "127.0.0.1:"+os.Getenv("PORT"))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println("ratings (Go) listens on", listener.Addr())
	fmt.Fprintln(os.Stderr, http.Serve(listener, nil))
	os.Exit(1)
}
