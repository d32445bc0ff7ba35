package main

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// usage of the machine, in seconds of processor time since it or the process began.
type usage struct{ tree, own, machine, residentMib float64 }

const ticksPerSecond = 100

func fields(file string) []string {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil
	}
	// The name of a process stands in parentheses and may hold spaces.
	return strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
}

func number(all []string, place int) float64 {
	if place >= len(all) {
		return 0
	}
	value, _ := strconv.ParseFloat(all[place], 64)
	return value
}

func seconds(stat []string) float64 { return (number(stat, 11) + number(stat, 12)) / ticksPerSecond }

func usageOf(pid int) (u usage) {
	u.own = seconds(fields("/proc/self/stat"))
	text, _ := os.ReadFile("/proc/stat")
	busy := strings.Fields(strings.SplitN(string(text), "\n", 2)[0])
	for _, place := range []int{1, 2, 3, 6, 7, 8} {
		u.machine += number(busy, place) / ticksPerSecond
	}
	if pid == 0 {
		return u
	}
	for _, one := range tree(pid) {
		stat := fields(fmt.Sprintf("/proc/%d/stat", one))
		u.tree += seconds(stat)
		u.residentMib += number(stat, 21) * float64(os.Getpagesize()) / 1048576
	}
	return u
}

func tree(root int) []int {
	children := map[int][]int{}
	entries, _ := os.ReadDir("/proc")
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		if stat := fields(fmt.Sprintf("/proc/%d/stat", pid)); len(stat) > 1 {
			parent := int(number(stat, 1))
			children[parent] = append(children[parent], pid)
		}
	}
	all := []int{root}
	for index := 0; index < len(all); index++ {
		all = append(all, children[all[index]]...)
	}
	return all
}
