package admin

import (
	"bytes"
	"context"
	"debug/elf"
	"debug/macho"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/cairnstream/cairn/wire"
)

// program is a job's executable on this machine. If it was built for the
// submit, remove deletes it.
type program struct {
	path     string
	platform string // GOOS/GOARCH
	remove   func()
}

// program finds or builds what a submit names. A platform that is given must fit.
func (t *tree) program(ctx context.Context, c *Client, what, platform string, progress *progress) (*program, error) {
	info, err := os.Stat(what)
	if err == nil && info.Mode().IsRegular() {
		return executable(what, platform)
	}
	if errors.Is(err, os.ErrNotExist) && (strings.HasPrefix(what, ".") || filepath.IsAbs(what)) {
		return nil, usagef("%s: no such file or folder", what)
	}
	if platform == "" {
		if platform, err = workersPlatform(ctx, c); err != nil {
			return nil, err
		}
	}
	progress.say("building " + what + " for " + platform)
	return build(ctx, what, platform)
}

func executable(path, platform string) (*program, error) {
	found, err := executablePlatform(path)
	if err != nil {
		return nil, usagef("%s: %w", path, err)
	}
	if platform != "" && platform != found {
		return nil, usagef("%s is an executable for %s, not for %s as --platform says", path, found, platform)
	}
	return &program{path: path, platform: found, remove: func() {}}, nil
}

// workersPlatform is this machine's platform if a worker has it or none is
// there to ask, else the workers' own.
func workersPlatform(ctx context.Context, c *Client) (string, error) {
	r, err := call(ctx, c, "find the workers' platform", wire.ControlClient.ListWorkers, &wire.ListWorkersRequest{})
	if err != nil {
		return "", err
	}
	var platforms []string
	for _, w := range r.Workers {
		if w.State == "connected" {
			platforms = append(platforms, w.Platform)
		}
	}
	own := runtime.GOOS + "/" + runtime.GOARCH
	if len(platforms) == 0 || slices.Contains(platforms, own) {
		return own, nil
	}
	return slices.Min(platforms), nil
}

// build compiles a Go package as a static binary for platform. A folder is
// built from within, so that it may be of any module.
func build(ctx context.Context, pkg, platform string) (*program, error) {
	goos, goarch, ok := strings.Cut(platform, "/")
	if !ok {
		return nil, usagef("--platform %q: use GOOS/GOARCH, such as linux/amd64", platform)
	}
	if _, err := exec.LookPath("go"); err != nil {
		return nil, usagef("%s is no executable file, and building it as a Go package needs go on the PATH: %w", pkg, err)
	}
	dir, err := os.MkdirTemp("", "cairn-submit-")
	if err != nil {
		return nil, fmt.Errorf("build job %s: %w", pkg, err)
	}
	p := &program{path: filepath.Join(dir, "job"), platform: platform, remove: func() { os.RemoveAll(dir) }}
	if err := p.compile(ctx, pkg, goos, goarch); err != nil {
		p.remove()
		return nil, err
	}
	return p, nil
}

func (p *program) compile(ctx context.Context, pkg, goos, goarch string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-o", p.path, pkg)
	if info, err := os.Stat(pkg); err == nil && info.IsDir() {
		cmd.Dir, cmd.Args[len(cmd.Args)-1] = pkg, "."
	}
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+goos, "GOARCH="+goarch)
	var text bytes.Buffer
	cmd.Stdout, cmd.Stderr = &text, &text
	if err := cmd.Run(); err != nil {
		told := strings.TrimSpace(text.String())
		if told == "" {
			told = err.Error()
		}
		return fmt.Errorf("build job %s for %s:\n%s", pkg, p.platform, told)
	}
	if _, err := executablePlatform(p.path); err != nil {
		return usagef("%s is not a program: a job is a package main that calls stream.Main", pkg)
	}
	return nil
}

// nameOf derives a job's name from a package or executable: its last element,
// without the platform that executables are often named for.
func nameOf(what string) string {
	if abs, err := filepath.Abs(what); err == nil {
		what = abs // for "."
	}
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, strings.ToLower(filepath.Base(what)))
	for _, goos := range []string{"linux", "darwin"} {
		for _, goarch := range []string{"amd64", "arm64"} {
			name = strings.TrimSuffix(name, "-"+goos+"-"+goarch)
		}
	}
	return strings.Trim(name, "-")
}

var elfArch = map[elf.Machine]string{elf.EM_X86_64: "amd64", elf.EM_AARCH64: "arm64"}
var machoArch = map[macho.Cpu]string{macho.CpuAmd64: "amd64", macho.CpuArm64: "arm64"}

// executablePlatform reads the platform from an executable's header.
func executablePlatform(path string) (string, error) {
	if f, err := elf.Open(path); err == nil {
		defer f.Close()
		if arch := elfArch[f.Machine]; arch != "" {
			return "linux/" + arch, nil
		}
		return "", fmt.Errorf("an executable for %v: build it for amd64 or arm64", f.Machine)
	}
	if f, err := macho.Open(path); err == nil {
		defer f.Close()
		if arch := machoArch[f.Cpu]; arch != "" {
			return "darwin/" + arch, nil
		}
		return "", fmt.Errorf("an executable for %v: build it for amd64 or arm64", f.Cpu)
	}
	return "", errors.New("not an executable for Linux or macOS: give a Go package (its folder), or a program built with stream.Main")
}
