package admin

import (
	"bytes"
	"context"
	"crypto/sha256"
	"debug/elf"
	"debug/macho"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cairnstream/cairn/dataflow"
	"github.com/cairnstream/cairn/wire"
)

type submitFlags struct {
	name        string
	platform    string
	parallelism int32
	options     dataflow.Options
}

func (t *tree) jobSubmitCommand() *cobra.Command {
	var f submitFlags
	cmd := &cobra.Command{
		Use:   "submit PACKAGE|EXECUTABLE [-- ARGUMENT...]",
		Short: "Run a job: a Go package (needs go) or an executable, with its own arguments after --",
		Example: "  cairn job submit ./examples/flights -- --out file:///tmp/out\n" +
			"  cairn job submit ./flights-linux-amd64 --parallelism 8",
		Args: args(func(cmd *cobra.Command, given []string) error {
			if n := cmd.ArgsLenAtDash(); n == 1 || n < 0 && len(given) == 1 {
				return nil
			}
			return errors.New("name one package or executable; the job's own arguments come after --")
		}),
		RunE: t.run(func(ctx context.Context, c *Client, given []string) error {
			return t.jobSubmit(ctx, c, f, given[0], given[1:])
		}),
	}
	fl := cmd.Flags()
	fl.StringVar(&f.name, "name", "", "name of the job (default: that of the package or executable)")
	fl.StringVar(&f.platform, "platform", "", "GOOS/GOARCH to build for (default: the workers')")
	fl.Int32Var(&f.parallelism, "parallelism", 0, "parallelism of operators that do not fix their own (default: the program's)")
	fl.DurationVar(&f.options.CheckpointInterval, "checkpoint-interval", 0, "time between checkpoints; negative for none (default: the program's, else 10s)")
	fl.DurationVar(&f.options.CheckpointTimeout, "checkpoint-timeout", 0, "abort a checkpoint after this long (default: the program's, else 10m)")
	fl.DurationVar(&f.options.MinPause, "min-pause", 0, "least time between two checkpoints")
	fl.IntVar(&f.options.TolerableFailures, "tolerable-failures", 0, "checkpoint failures in a row that do not restart the job; negative for any number")
	fl.IntVar(&f.options.Retained, "retained", 0, "completed checkpoints to keep (default: the program's, else 3)")
	fl.IntVar(&f.options.Restart.Attempts, "restart-attempts", 0, "restarts in a row before the job fails; negative for none (default: no limit)")
	return cmd
}

func (t *tree) jobSubmit(ctx context.Context, c *Client, f submitFlags, what string, jobArgs []string) error {
	if err := f.options.Validate(); err != nil {
		return &UsageError{err}
	}
	path, platform, cleanup, err := t.artifact(ctx, c, what, f.platform)
	if err != nil {
		return err
	}
	defer cleanup()
	name := f.name
	if name == "" {
		name = nameOf(what)
	}
	if err := dataflow.CheckJobName(name); err != nil {
		return usagef("%w; choose one with --name", err)
	}
	id, err := Submit(ctx, c, Submission{Name: name, Executable: path, Platform: platform, Args: jobArgs, Options: f.options, Parallelism: f.parallelism})
	if err != nil {
		return err
	}
	if t.output == "json" {
		return t.printJSON(map[string]string{"job": id})
	}
	fmt.Fprintf(t.stdout, "job %s submitted; see it with: cairn job show %s\n", id, id)
	return nil
}

// Submission is a job to be submitted from an executable on this machine.
type Submission struct {
	Name        string
	Executable  string
	Platform    string // GOOS/GOARCH
	Args        []string
	Options     dataflow.Options
	Parallelism int32
}

// Submit stores the executable in the cluster, submits the job and returns its id.
func Submit(ctx context.Context, c *Client, s Submission) (string, error) {
	sum, err := upload(ctx, c, s.Executable)
	if err != nil {
		return "", err
	}
	options, err := json.Marshal(s.Options)
	if err != nil {
		return "", err
	}
	req := &wire.SubmitJobRequest{Name: s.Name, ArtifactSha256: sum, Args: s.Args, Options: options, Key: requestKey(), Platform: s.Platform, Parallelism: s.Parallelism}
	var r *wire.SubmitJobResponse
	err = c.Do(ctx, "submit job "+s.Name, func(ctx context.Context, cc wire.ControlClient) (err error) {
		r, err = cc.SubmitJob(ctx, req)
		return err
	})
	if err != nil {
		return "", err
	}
	return r.Job, nil
}

// chunkBytes is the size of an upload's messages: large enough to be few,
// small enough to stay far below gRPC's limit of 4 MiB.
const chunkBytes = 1 << 20

func upload(ctx context.Context, c *Client, path string) (sum string, err error) {
	file, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("upload artifact: %w", err)
	}
	defer file.Close()
	h := sha256.New()
	size, err := io.Copy(h, file)
	if err != nil {
		return "", fmt.Errorf("upload artifact: %w", err)
	}
	sum = hex.EncodeToString(h.Sum(nil))
	return sum, c.Stream(ctx, "upload artifact "+path, func(cc wire.ControlClient) error {
		if _, err := file.Seek(0, io.SeekStart); err != nil {
			return err
		}
		return sendChunks(ctx, cc, file, sum, size)
	})
}

func sendChunks(ctx context.Context, cc wire.ControlClient, r io.Reader, sum string, size int64) error {
	stream, err := cc.PutArtifact(ctx)
	if err != nil {
		return err
	}
	buf := make([]byte, chunkBytes)
	for {
		n, err := io.ReadFull(r, buf)
		if n > 0 {
			if err := stream.Send(&wire.ArtifactChunk{Sha256: sum, Size: size, Data: buf[:n]}); err != nil {
				break // the reason is what CloseAndRecv returns
			}
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			break
		}
		if err != nil {
			return err
		}
	}
	_, err = stream.CloseAndRecv()
	return err
}

// artifact finds or builds the executable and tells its platform.
func (t *tree) artifact(ctx context.Context, c *Client, what, platform string) (path, goPlatform string, cleanup func(), err error) {
	if info, err := os.Stat(what); err == nil && info.Mode().IsRegular() {
		found, err := executablePlatform(what)
		if err != nil {
			return "", "", nil, usagef("%s: %w", what, err)
		}
		if platform != "" && platform != found {
			return "", "", nil, usagef("%s is an executable for %s, not for %s as --platform says", what, found, platform)
		}
		return what, found, func() {}, nil
	}
	if platform == "" {
		if platform, err = t.workersPlatform(ctx, c); err != nil {
			return "", "", nil, err
		}
	}
	return t.build(ctx, what, platform)
}

// workersPlatform is this machine's platform if a worker has it, else the
// workers' own.
func (t *tree) workersPlatform(ctx context.Context, c *Client) (string, error) {
	var r *wire.ListWorkersResponse
	err := c.Do(ctx, "find the workers' platform", func(ctx context.Context, cc wire.ControlClient) (err error) {
		r, err = cc.ListWorkers(ctx, &wire.ListWorkersRequest{})
		return err
	})
	if err != nil {
		return "", err
	}
	var platforms []string
	for _, w := range r.Workers {
		if w.State == "connected" {
			platforms = append(platforms, w.Platform)
		}
	}
	slices.Sort(platforms)
	own := runtime.GOOS + "/" + runtime.GOARCH
	if len(platforms) == 0 || slices.Contains(platforms, own) {
		return own, nil
	}
	return platforms[0], nil
}

// build compiles a Go package as a static binary for platform.
func (t *tree) build(ctx context.Context, pkg, platform string) (path, goPlatform string, cleanup func(), err error) {
	goos, goarch, ok := strings.Cut(platform, "/")
	if !ok {
		return "", "", nil, usagef("--platform %q: use GOOS/GOARCH, such as linux/amd64", platform)
	}
	if _, err := exec.LookPath("go"); err != nil {
		return "", "", nil, usagef("%s is no executable file, and building it as a Go package needs go on the PATH: %w", pkg, err)
	}
	dir, err := os.MkdirTemp("", "cairn-submit-")
	if err != nil {
		return "", "", nil, err
	}
	cleanup = func() { os.RemoveAll(dir) }
	path = filepath.Join(dir, "job")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-o", path, pkg)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+goos, "GOARCH="+goarch)
	var text bytes.Buffer
	cmd.Stdout, cmd.Stderr = &text, &text
	if err := cmd.Run(); err != nil {
		cleanup()
		return "", "", nil, fmt.Errorf("build job %s for %s: %w\n%s", pkg, platform, err, strings.TrimSpace(text.String()))
	}
	if _, err := executablePlatform(path); err != nil {
		cleanup()
		return "", "", nil, usagef("%s is not a program: a job is a package main that calls stream.Main", pkg)
	}
	return path, platform, cleanup, nil
}

func nameOf(what string) string {
	abs, err := filepath.Abs(what)
	if err != nil {
		abs = what
	}
	base := strings.ToLower(strings.TrimSuffix(filepath.Base(abs), ".exe"))
	return strings.Trim(strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, base), "-")
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
	}
	return "", errors.New("not an executable for Linux or macOS: give a Go package, or a program built with stream.Main")
}
