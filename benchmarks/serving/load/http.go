package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"
)

// httpClient speaks HTTP/1.1 with one connection for each call at once.
type httpClient struct {
	address  string
	request  []byte
	recorder *recorder
	group    sync.WaitGroup
	waiting  chan time.Time
}

type httpConnection struct {
	socket net.Conn
	reader *bufio.Reader
}

func newHTTPClient(o options, body []byte, r *recorder) (*httpClient, error) {
	var head bytes.Buffer
	fmt.Fprintf(&head, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n", o.path, o.address, len(body))
	head.WriteString("Content-Type: application/json\r\n")
	head.WriteString("\r\n")
	c := &httpClient{address: o.address, request: append(head.Bytes(), body...), recorder: r,
		waiting: make(chan time.Time, 100_000)}
	if o.rate > 0 {
		for range o.calls {
			go c.serveWaiting()
		}
	}
	return c, nil
}

func (c *httpClient) dial() (*httpConnection, error) {
	socket, err := net.Dial("tcp", c.address)
	if err != nil {
		return nil, err
	}
	return &httpConnection{socket: socket, reader: bufio.NewReaderSize(socket, 1<<15)}, nil
}

func (c *httpClient) closed(count int) {
	for range count {
		c.group.Add(1)
		go func() {
			defer c.group.Done()
			var connection *httpConnection
			for !c.recorder.over() {
				connection = c.call(connection, time.Now())
			}
		}()
	}
}

func (c *httpClient) open(due time.Time) {
	c.group.Add(1)
	c.waiting <- due
}

func (c *httpClient) serveWaiting() {
	var connection *httpConnection
	for due := range c.waiting {
		connection = c.call(connection, due)
		c.group.Done()
	}
}

func (c *httpClient) flush() {}

func (c *httpClient) wait(limit time.Duration) {
	done := make(chan struct{})
	go func() {
		c.group.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(limit):
	}
}

// call makes one call and gives the connection back that the next one may use.
func (c *httpClient) call(kept *httpConnection, due time.Time) *httpConnection {
	connection := kept
	if connection == nil {
		var err error
		if connection, err = c.dial(); err != nil {
			c.recorder.note(due, failed, err.Error())
			time.Sleep(10 * time.Millisecond)
			return nil
		}
	}
	_, err := connection.socket.Write(c.request)
	status, isKept := 0, false
	if err == nil {
		status, isKept, err = connection.answer()
	}
	switch {
	case err != nil:
		c.recorder.note(due, failed, err.Error())
	case status == 200:
		c.recorder.note(due, answered, "")
	case status == 429 || status == 503:
		c.recorder.note(due, refused, "")
	default:
		c.recorder.note(due, failed, fmt.Sprintf("status %d", status))
	}
	if err == nil && isKept {
		return connection
	}
	_ = connection.socket.Close()
	return nil
}

// answer reads a response and throws its body away.
func (c *httpConnection) answer() (status int, isKept bool, err error) {
	line, err := c.reader.ReadSlice('\n')
	if err != nil {
		return 0, false, err
	}
	parts := strings.Fields(string(line))
	if len(parts) < 2 {
		return 0, false, fmt.Errorf("no response: %q", line)
	}
	status, _ = strconv.Atoi(parts[1])
	length, isChunked, isKept := 0, false, true
	for {
		line, err = c.reader.ReadSlice('\n')
		if err != nil {
			return status, false, err
		}
		text := strings.ToLower(strings.TrimSpace(string(line)))
		if text == "" {
			break
		}
		name, value, _ := strings.Cut(text, ":")
		switch value = strings.TrimSpace(value); name {
		case "content-length":
			length, _ = strconv.Atoi(value)
		case "transfer-encoding":
			isChunked = value == "chunked"
		case "connection":
			isKept = value != "close"
		}
	}
	if !isChunked {
		_, err = c.reader.Discard(length)
		return status, isKept, err
	}
	return status, isKept, c.chunks()
}

func (c *httpConnection) chunks() error {
	for {
		line, err := c.reader.ReadSlice('\n')
		if err != nil {
			return err
		}
		size, err := strconv.ParseInt(strings.TrimSpace(string(line)), 16, 32)
		if err != nil {
			return err
		}
		if _, err = io.CopyN(io.Discard, c.reader, size+2); err != nil {
			return err
		}
		if size == 0 {
			return nil
		}
	}
}
