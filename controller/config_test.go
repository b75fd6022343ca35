package controller

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestParsePeers(t *testing.T) {
	got, err := ParsePeers("c1=127.0.0.1:7101, c2=host:7201/9000,c3=[::1]:7301/other:9001,")
	if err != nil {
		t.Fatal(err)
	}
	want := []Peer{
		{"c1", "127.0.0.1:7101", "127.0.0.1:7102"},
		{"c2", "host:7201", "host:9000"},
		{"c3", "[::1]:7301", "other:9001"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got, err := ParsePeers("c1=127.0.0.1:0"); err != nil || got[0].Raft != "127.0.0.1:0" {
		t.Errorf("port 0: %v, %v", got, err)
	}
	_, err = ParsePeers("c1,c2=host,c3=host:99999,c4=h:1/x:y")
	for _, want := range []string{`"c1"`, `"host"`, `"host:99999"`, `"x:y"`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not tell of %s", err, want)
		}
	}
}

func TestValidateTellsAllAtOnce(t *testing.T) {
	good := Config{ID: "c1", DataDir: "d", ObjectStore: "mem://x", Peers: []Peer{{"c1", "h:1", "h:2"}, {"c2", "h:3", "h:4"}}}
	if err := good.WithDefaults().Validate(); err != nil {
		t.Fatalf("a right configuration: %v", err)
	}
	bad := Config{
		ID: "C 1", RaftTimeout: time.Millisecond, Listen: "h:0", MetricsListen: "nowhere", Heartbeat: -1,
		Peers: []Peer{{"c1", "h:1", "h:2"}, {"c1", "h:2", "h:0"}},
	}
	err := bad.Validate()
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		`--id "C 1"`, "--data-dir", "--object-store", "--raft-timeout 1ms", "port 0", `"nowhere"`, "negative",
		"does not name this controller", "id c1 is given to both", "address h:2 is given to both",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v\ndoes not tell of %s", err, want)
		}
	}
}
