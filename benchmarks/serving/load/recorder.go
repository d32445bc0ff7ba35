package main

import (
	"math"
	"sort"
	"sync"
	"sync/atomic"
	"time"
)

// outcome of one call.
type outcome int

const (
	answered outcome = iota
	refused
	failed
)

// recorder notes how calls end between begin and end.
type recorder struct {
	mutex          sync.Mutex
	phase          atomic.Int32
	times          [3][]float64
	firstError     string
	started, ended time.Time
	before, after  usage
}

func (r *recorder) begin(pid int) {
	r.before = usageOf(pid)
	r.started = time.Now()
	r.phase.Store(1)
}

func (r *recorder) end(pid int) {
	r.phase.Store(2)
	r.ended = time.Now()
	r.after = usageOf(pid)
}

func (r *recorder) over() bool { return r.phase.Load() == 2 }

// note takes down a call that was due at a moment; those due before the beginning are left out.
func (r *recorder) note(due time.Time, o outcome, problem string) {
	if r.phase.Load() == 0 {
		if o == failed {
			r.problem(problem)
		}
		return
	}
	r.mutex.Lock()
	if !due.Before(r.started) {
		r.times[o] = append(r.times[o], time.Since(due).Seconds()*1e3)
	}
	if o == failed && r.firstError == "" {
		r.firstError = problem
	}
	r.mutex.Unlock()
}

func (r *recorder) problem(text string) {
	r.mutex.Lock()
	if r.firstError == "" {
		r.firstError = text
	}
	r.mutex.Unlock()
}

func (r *recorder) result(o options) map[string]any {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	seconds := r.ended.Sub(r.started).Seconds()
	ok := r.times[answered]
	all := float64(len(ok) + len(r.times[refused]) + len(r.times[failed]))
	sort.Float64s(ok)
	sort.Float64s(r.times[refused])
	cpu := r.after.tree - r.before.tree
	perCall := func(seconds float64, calls float64) float64 {
		if calls == 0 {
			return 0
		}
		return round(seconds/calls*1e6, 2)
	}
	return map[string]any{
		"answered": len(ok), "refused": len(r.times[refused]), "failed": len(r.times[failed]),
		"perSecond": round(float64(len(ok))/seconds, 1),
		"p50Ms":     at(ok, .5), "p99Ms": at(ok, .99), "p999Ms": at(ok, .999), "refusedP50Ms": at(r.times[refused], .5),
		"cpuUs": perCall(cpu, all), "serverCores": round(cpu/seconds, 2),
		"clientCores": round((r.after.own-r.before.own)/seconds, 2),
		"otherCores":  round(((r.after.machine-r.before.machine)-cpu-(r.after.own-r.before.own))/seconds, 2),
		"residentMib": math.Round(r.after.residentMib),
		"error":       r.firstError,
	}
}

func at(sorted []float64, share float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return round(sorted[int(share*float64(len(sorted)-1))], 3)
}

func round(value float64, digits int) float64 {
	factor := math.Pow(10, float64(digits))
	return math.Round(value*factor) / factor
}
