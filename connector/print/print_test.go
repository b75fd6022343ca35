package print_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/cairnstream/cairn/connector"
	"github.com/cairnstream/cairn/connector/print"
)

type count struct {
	Word string
	N    int
}

func TestLines(t *testing.T) {
	var out bytes.Buffer
	sink := print.Writer[count](&out)
	w, err := sink.Open(t.Context(), connector.Env{UID: "out", Subtask: 2})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write([]count{{"a", 1}, {"b", 2}}, []int64{0, 0}); err != nil {
		t.Fatal(err)
	}
	if got, want := out.String(), "out/2> {Word:a N:1}\nout/2> {Word:b N:2}\n"; got != want {
		t.Errorf("printed %q, want %q", got, want)
	}
	if finish, err := w.Prepare(1); finish != nil || err != nil {
		t.Errorf("Prepare made a transaction: %v", err)
	}
}

func TestPrefix(t *testing.T) {
	var out bytes.Buffer
	sink := print.Writer[int](&out)
	sink.Prefix = "n="
	w, err := sink.Open(t.Context(), connector.Env{})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write([]int{7}, []int64{0}); err != nil {
		t.Fatal(err)
	}
	if out.String() != "n=7\n" {
		t.Errorf("printed %q", out.String())
	}
}

type broken struct{}

var errBroken = errors.New("broken")

func (broken) Write([]byte) (int, error) { return 0, errBroken }

func TestErrorOfTheOutput(t *testing.T) {
	w, err := print.Writer[int](broken{}).Open(t.Context(), connector.Env{})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write([]int{1}, []int64{0}); !errors.Is(err, errBroken) {
		t.Errorf("got %v", err)
	}
}
