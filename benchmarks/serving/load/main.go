// Puts load on a model server over gRPC or REST and prints what came of it as one line of JSON.
//
// It speaks HTTP itself and keeps to one goroutine a connection, so that the client on one core is not what limits a
// server on another. Closed loop: -calls at once. Open loop: -rate a second, by a Poisson process, with times from the
// moment at which a call was due, so that a stall counts for all whom it kept waiting.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"math/rand"
	"os"
	"runtime"
	"sync"
	"syscall"
	"time"
)

type options struct {
	protocol, address, path, request string
	connections, calls               int
	rate                             float64
	warmUp, duration, patience       time.Duration
	pid                              int
}

func read() options {
	var o options
	flag.StringVar(&o.protocol, "protocol", "grpc", "grpc or http")
	flag.StringVar(&o.address, "address", "", "host:port")
	flag.StringVar(&o.path, "path", "", "path of the method or of the resource")
	flag.StringVar(&o.request, "request", "", "file with the message, or with the body")
	flag.IntVar(&o.connections, "connections", 4, "connections of gRPC; over HTTP there is one for each call at once")
	flag.IntVar(&o.calls, "calls", 16, "calls at once in the closed loop")
	flag.Float64Var(&o.rate, "rate", 0, "calls a second; above 0 the loop is open")
	flag.DurationVar(&o.warmUp, "warm-up", time.Second, "time before the figures")
	flag.DurationVar(&o.duration, "duration", 3*time.Second, "time of the figures")
	flag.DurationVar(&o.patience, "patience", 0, "time that a caller over gRPC waits, from when its call is due; 0 is for ever")
	flag.IntVar(&o.pid, "pid", 0, "process whose processor time is told, with all below it")
	flag.Parse()
	return o
}

// client makes calls. Calls of the closed loop are made again by it until the recorder says that it is over.
type client interface {
	closed(count int)
	open(due time.Time)
	flush()
	wait(limit time.Duration)
}

func main() {
	o := read()
	body, err := os.ReadFile(o.request)
	if err != nil {
		fail(err)
	}
	r := &recorder{}
	var c client
	if o.protocol == "grpc" {
		c, err = newGrpcClient(o, body, r)
	} else {
		c, err = newHTTPClient(o, body, r)
	}
	if err != nil {
		fail(err)
	}
	if o.rate > 0 {
		paced(o, c, r)
	} else {
		c.closed(o.calls)
		time.Sleep(o.warmUp)
		r.begin(o.pid)
		time.Sleep(o.duration)
		r.end(o.pid)
	}
	c.wait(5 * time.Second)
	line, _ := json.Marshal(r.result(o))
	fmt.Println(string(line))
}

// paced makes calls at the moments of a Poisson process. The goroutine has a thread of its own and sleeps by the system's
// clock: Go's timers may be a millisecond late.
func paced(o options, c client, r *recorder) {
	runtime.LockOSThread()
	_ = syscall.Setpriority(syscall.PRIO_PROCESS, 0, -20)
	random := rand.New(rand.NewSource(1))
	next := time.Now()
	begin, end := next.Add(o.warmUp), next.Add(o.warmUp+o.duration)
	var once sync.Once
	for next.Before(end) {
		if wait := time.Until(next); wait > 0 {
			c.flush()
			spec := syscall.NsecToTimespec(int64(time.Until(next)))
			_ = syscall.Nanosleep(&spec, nil)
		}
		if next.After(begin) {
			once.Do(func() { r.begin(o.pid) })
		}
		c.open(next)
		next = next.Add(time.Duration(random.ExpFloat64() / o.rate * 1e9))
	}
	c.flush()
	r.end(o.pid)
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
