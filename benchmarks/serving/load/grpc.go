package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand"
	"net"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

const readWindow = 1 << 30

// firstLimit is how many calls at once a connection has until the server says how many: RFC 9113 advises no less.
const firstLimit = 100

type grpcClient struct {
	connections []*grpcConnection
	next        int
}

// stream is one call that is under way.
type stream struct {
	id     uint32
	due    time.Time
	sent   int
	window int
	status string
}

type grpcConnection struct {
	mutex    sync.Mutex
	socket   net.Conn
	buffer   *bufio.Writer
	framer   *http2.Framer
	reader   *bufio.Reader
	decoder  *hpack.Decoder
	header   []byte
	message  []byte
	recorder *recorder
	streams  map[uint32]*stream
	sending  []*stream
	nextID   uint32
	window   int
	initial  int
	maxFrame int
	received int
	repeats  bool
	// limit is how many calls at once the server wants; further ones wait here, by the moment at which they were due.
	limit    int
	waiting  []time.Time
	patience time.Duration
	current  *stream
}

func newGrpcClient(o options, body []byte, r *recorder) (*grpcClient, error) {
	message := make([]byte, 5, 5+len(body))
	binary.BigEndian.PutUint32(message[1:], uint32(len(body)))
	message = append(message, body...)
	count := o.connections
	if o.rate == 0 && o.calls < count {
		count = o.calls
	}
	c := &grpcClient{}
	for range count {
		connection, err := dial(o, message, r)
		if err != nil {
			return nil, err
		}
		c.connections = append(c.connections, connection)
		go connection.serve()
	}
	return c, nil
}

// headerBlock is the same for each call: nothing of it goes to the dynamic table.
func headerBlock(o options) []byte {
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	encoder.SetMaxDynamicTableSizeLimit(0)
	pairs := []string{":method=POST", ":scheme=http", ":path=" + o.path, ":authority=" + o.address,
		"content-type=application/grpc", "te=trailers"}
	for _, pair := range pairs {
		// A pseudo-header begins with a colon, so the sign that ends the name is the first after it.
		name, value, _ := strings.Cut(pair, "=")
		_ = encoder.WriteField(hpack.HeaderField{Name: name, Value: value, Sensitive: true})
	}
	return block.Bytes()
}

func dial(o options, message []byte, r *recorder) (*grpcConnection, error) {
	socket, err := net.Dial("tcp", o.address)
	if err != nil {
		return nil, err
	}
	c := &grpcConnection{
		socket: socket, buffer: bufio.NewWriterSize(socket, 1<<17), reader: bufio.NewReaderSize(socket, 1<<16),
		header: headerBlock(o), message: message, recorder: r, streams: map[uint32]*stream{}, nextID: 1,
		window: 65535, initial: 65535, maxFrame: 16384, limit: firstLimit, patience: o.patience,
	}
	c.framer = http2.NewFramer(c.buffer, c.reader)
	c.framer.SetReuseFrames()
	c.decoder = hpack.NewDecoder(4096, func(field hpack.HeaderField) {
		if c.current != nil && field.Name == "grpc-status" {
			c.current.status = field.Value
		}
	})
	_, _ = c.buffer.WriteString(http2.ClientPreface)
	_ = c.framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: readWindow})
	_ = c.framer.WriteWindowUpdate(0, readWindow)
	return c, c.buffer.Flush()
}

func (c *grpcClient) closed(count int) {
	for index := range count {
		connection := c.connections[index%len(c.connections)]
		connection.mutex.Lock()
		connection.repeats = true
		connection.start(time.Now())
		_ = connection.buffer.Flush()
		connection.mutex.Unlock()
	}
}

func (c *grpcClient) open(due time.Time) {
	connection := c.connections[c.next%len(c.connections)]
	c.next++
	connection.mutex.Lock()
	connection.waiting = append(connection.waiting, due)
	connection.startWaiting()
	connection.mutex.Unlock()
}

func (c *grpcClient) flush() {
	for _, connection := range c.connections {
		connection.mutex.Lock()
		if connection.buffer.Buffered() > 0 {
			_ = connection.buffer.Flush()
		}
		connection.mutex.Unlock()
	}
}

// wait gives calls that are under way their time; those that are not answered then have failed.
func (c *grpcClient) wait(limit time.Duration) {
	end := time.Now().Add(limit)
	for _, connection := range c.connections {
		for connection.underWay() > 0 && time.Now().Before(end) {
			time.Sleep(time.Millisecond)
		}
		connection.mutex.Lock()
		for _, one := range connection.streams {
			connection.recorder.note(one.due, failed, "no answer")
		}
		for _, due := range connection.waiting {
			connection.recorder.note(due, failed, "it waited in the client")
		}
		connection.mutex.Unlock()
		_ = connection.socket.Close()
	}
}

func (c *grpcConnection) underWay() int {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return len(c.streams)
}

// startWaiting starts calls while the server wants more, in no order: the callers of a client race for each place. Those
// whose time has run out meanwhile have failed.
func (c *grpcConnection) startWaiting() {
	for len(c.waiting) > 0 && len(c.streams) < c.limit {
		chosen, last := rand.Intn(len(c.waiting)), len(c.waiting)-1
		due := c.waiting[chosen]
		c.waiting[chosen] = c.waiting[last]
		c.waiting = c.waiting[:last]
		if c.patience > 0 && time.Since(due) > c.patience {
			c.recorder.note(due, failed, "its time ran out in the client")
			continue
		}
		c.start(due)
	}
}

// headerOf is the header block of a call that was due at a moment: what it has waited here is no longer left to it.
func (c *grpcConnection) headerOf(due time.Time) []byte {
	if c.patience == 0 {
		return c.header
	}
	block := bytes.NewBuffer(c.header[:len(c.header):len(c.header)])
	left := max(1, (c.patience - time.Since(due)).Round(time.Millisecond).Milliseconds())
	field := hpack.HeaderField{Name: "grpc-timeout", Value: fmt.Sprintf("%dm", left), Sensitive: true}
	_ = hpack.NewEncoder(block).WriteField(field)
	return block.Bytes()
}

func (c *grpcConnection) start(due time.Time) {
	s := &stream{id: c.nextID, due: due, window: c.initial}
	c.nextID += 2
	c.streams[s.id] = s
	_ = c.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: s.id, BlockFragment: c.headerOf(due), EndHeaders: true})
	c.sending = append(c.sending, s)
	c.pump()
}

// pump sends as much of the messages as the windows allow.
func (c *grpcConnection) pump() {
	kept := c.sending[:0]
	for _, s := range c.sending {
		for s.sent < len(c.message) {
			size := min(len(c.message)-s.sent, s.window, c.window, c.maxFrame)
			if size <= 0 {
				break
			}
			isLast := s.sent+size == len(c.message)
			_ = c.framer.WriteData(s.id, isLast, c.message[s.sent:s.sent+size])
			s.sent += size
			s.window -= size
			c.window -= size
		}
		if s.sent < len(c.message) {
			kept = append(kept, s)
		}
	}
	c.sending = kept
}

func (c *grpcConnection) serve() {
	for {
		frame, err := c.framer.ReadFrame()
		if err != nil {
			if err != io.EOF && !c.recorder.over() {
				c.recorder.problem(err.Error())
			}
			return
		}
		c.mutex.Lock()
		c.take(frame)
		if c.reader.Buffered() == 0 {
			_ = c.buffer.Flush()
		}
		c.mutex.Unlock()
	}
}

func (c *grpcConnection) take(frame http2.Frame) {
	switch f := frame.(type) {
	case *http2.HeadersFrame:
		c.current = c.streams[f.StreamID]
		_, _ = c.decoder.Write(f.HeaderBlockFragment())
		c.finish(f.StreamID, f.StreamEnded())
	case *http2.DataFrame:
		c.received += int(f.Length)
		if c.received > readWindow/2 {
			_ = c.framer.WriteWindowUpdate(0, uint32(c.received))
			c.received = 0
		}
		c.finish(f.StreamID, f.StreamEnded())
	case *http2.RSTStreamFrame:
		if s := c.streams[f.StreamID]; s != nil {
			s.status = fmt.Sprintf("reset %v", f.ErrCode)
			c.finish(f.StreamID, true)
		}
	case *http2.WindowUpdateFrame:
		if f.StreamID == 0 {
			c.window += int(f.Increment)
		} else if s := c.streams[f.StreamID]; s != nil {
			s.window += int(f.Increment)
		}
		c.pump()
	case *http2.SettingsFrame:
		c.settings(f)
	case *http2.PingFrame:
		if !f.IsAck() {
			_ = c.framer.WritePing(true, f.Data)
		}
	case *http2.GoAwayFrame:
		c.recorder.problem(fmt.Sprintf("GOAWAY %v", f.ErrCode))
	}
}

func (c *grpcConnection) settings(f *http2.SettingsFrame) {
	if f.IsAck() {
		return
	}
	_ = f.ForeachSetting(func(setting http2.Setting) error {
		switch setting.ID {
		case http2.SettingInitialWindowSize:
			for _, s := range c.streams {
				s.window += int(setting.Val) - c.initial
			}
			c.initial = int(setting.Val)
		case http2.SettingMaxConcurrentStreams:
			c.limit = int(setting.Val)
		case http2.SettingMaxFrameSize:
			c.maxFrame = int(setting.Val)
		}
		return nil
	})
	_ = c.framer.WriteSettingsAck()
	c.pump()
	c.startWaiting()
}

func (c *grpcConnection) finish(id uint32, isOver bool) {
	s := c.streams[id]
	if s == nil || !isOver {
		return
	}
	delete(c.streams, id)
	switch s.status {
	case "0":
		c.recorder.note(s.due, answered, "")
	case "8", "14":
		c.recorder.note(s.due, refused, "")
	default:
		c.recorder.note(s.due, failed, "grpc-status "+s.status)
	}
	if c.repeats && !c.recorder.over() {
		c.start(time.Now())
	}
	c.startWaiting()
}
