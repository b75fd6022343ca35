package miniotest

import (
	"os"
	"strings"
	"testing"
)

func TestVersionIsTheModules(t *testing.T) {
	mod, err := os.ReadFile("server/go.mod")
	if err != nil {
		t.Fatal(err)
	}
	if want := "github.com/minio/minio " + Version + " "; !strings.Contains(string(mod), want) {
		t.Errorf("server/go.mod does not require %q", want)
	}
}
