package admin

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/cairnstream/cairn/wire"
)

func TestTableAlignsByCharacters(t *testing.T) {
	var out strings.Builder
	if err := table(&out, "TERM >BYTES REASON", [][]string{{"3→4", "12 B", "a\nb"}, {"3", "1.0 KiB", ""}}); err != nil {
		t.Fatal(err)
	}
	want := "" +
		"TERM    BYTES  REASON\n" +
		"3→4      12 B  a …\n" +
		"3     1.0 KiB\n"
	if out.String() != want {
		t.Errorf("got\n%s", &out)
	}
}

func TestTexts(t *testing.T) {
	ago := func(d time.Duration) string { return agoText(time.Now().Add(-d).UnixMilli()) }
	for _, c := range []struct{ got, want string }{
		{bytesText(0), "0 B"}, {bytesText(1023), "1023 B"}, {bytesText(1024), "1.0 KiB"}, {bytesText(5 << 40), "5.0 TiB"}, {bytesText(5 << 60), "5120.0 PiB"},
		{countText(0), "0"}, {countText(999), "999"}, {countText(508239), "508,239"}, {countText(-1000), "-1,000"}, {countText(-100), "-100"},
		{rateText(0), "0/s"}, {rateText(0.25), "0.2/s"}, {rateText(9999.6), "10,000/s"},
		{msText(0.26), "0.3 ms"}, {msText(9999), "9999.0 ms"}, {msText(600_000), "600.0 s"},
		{plural(1, "slot"), "1 slot"}, {plural(0, "slot"), "0 slots"},
		{ago(90*time.Minute + 10*time.Second), "1h30m ago"}, {ago(-time.Hour), "0s ago"}, {ago(49*time.Hour + time.Minute), "2d1h ago"}, {agoText(0), "-"},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}

// TestViewKeepsEverything: zero values, 64-bit numbers and markup are what they are.
func TestViewKeepsEverything(t *testing.T) {
	text, err := marshal(view(&wire.SubtaskView{Worker: "<w>", Stats: &wire.SubtaskStats{RecordsIn: 1<<53 + 1}}).with("state", nil).with("more", 1))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"subtask":null,"worker":"<w>","process":"","state":null,"stats":{"subtask":null,"records_in":9007199254740993,"records_out":0,` +
		`"bytes_in":0,"state_entries":0,"state_bytes":0,"watermark_ms":0,"bad_records":0,"busy":0,"backpressured":0,"records_in_per_second":0,"records_out_per_second":0,"lag_bytes":0,"lag_ms":0},"more":1}`
	if string(text) != want {
		t.Errorf("got\n%s\nwant\n%s", text, want)
	}
}

func TestProgressIsSilentWithoutATerminal(t *testing.T) {
	var out strings.Builder
	p := newProgress(&out)
	p.say("uploading")
	p.end()
	if out.Len() > 0 {
		t.Errorf("got %q", &out)
	}
	p = &progress{w: &out}
	p.say("uploading")
	p.end()
	p.end()
	if want := eraseLine + "uploading …" + eraseLine; out.String() != want {
		t.Errorf("got %q, want %q", &out, want)
	}
}

func TestNameOf(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "My.Job")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	for what, want := range map[string]string{
		".": "my-job", "./examples/flights": "flights", "flights/": "flights", "/opt/flights_linux_amd64": "flights",
		"flights-darwin-arm64": "flights", "example.com/jobs/word-count": "word-count", "-x-": "x",
	} {
		if got := nameOf(what); got != want {
			t.Errorf("name of %s is %q, want %q", what, got, want)
		}
	}
}

func TestExecutablePlatform(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := executablePlatform(self); err != nil || got != runtime.GOOS+"/"+runtime.GOARCH {
		t.Errorf("this test is an executable for %q (%v)", got, err)
	}
	if _, err := executablePlatform("output_test.go"); err == nil {
		t.Error("a source file passes for an executable")
	}
}
