// Package archtest holds the architecture's separations as rules, and checks
// the source against them in an ordinary test. A rule that is in the way is
// changed here, with a reason, and in docs/architecture.md, before the code is.
package archtest

// Module is the path of the module whose packages the rules name.
const Module = "github.com/cairnstream/cairn"

// Rule says which packages of the module a package may import. Test files may
// import more.
type Rule struct {
	// Package is a directory. The rule is also for the directories below that
	// have no rule of their own, and all of these may know each other.
	Package string
	// Knows lists directories, each with those below it.
	Knows []string
	// Why is the reason, for the one who breaks the rule.
	Why string
}

// words are what everybody may speak about: data without behaviour.
var words = []string{"dataflow", "snapshot", "codec"}

// below is what lies below engine, with engine itself.
var below = join(words, "engine", "state", "savepoint/rowfile", "exchange", "connector", "objectstore")

// Rules is the table of imports.
var Rules = []Rule{
	// The words.
	{"dataflow", nil, "the job as data is the bottom of the house"},
	{"wire", nil, "the protocol is generated and knows nothing of those who speak it"},
	{"codec", nil, "encodings know bytes, not who stores or sends them"},
	{"objectstore", nil, "the seam to the outside knows blobs, not what is in them"},
	{"snapshot", []string{"dataflow", "objectstore"}, "the words for what a checkpoint refers to: data only"},

	// Mechanisms, each explainable alone.
	{"ha", nil, "the Raft group replicates opaque commands and knows nothing of jobs or checkpoints"},
	{"scheduler", words, "scheduling is pure decisions over values"},
	{"coordinator", join(words, "checkpointstore/catalog"), "coordination is pure decisions over values"},
	{"checkpointstore", join(words, "objectstore"), "the catalog's I/O knows the store, not who completes checkpoints"},
	{"checkpointstore/catalog", words, "the catalog is a pure value inside the replicated state machine"},
	{"state", join(words, "objectstore"), "state is kept and restored without knowing who runs the operators"},
	{"savepoint", join(words, "state", "checkpointstore", "objectstore"), "a canonical savepoint is written and read without the job, beside what runs"},
	{"savepoint/rowfile", join(words, "state"), "one file knows rows, not the folder or who restores them"},
	{"exchange", join(words, "wire"), "the exchange moves batches and knows nothing of operators or state"},
	{"connector", join(words, "objectstore"), "a connector knows its outside world and its contract, not the engine"},
	{"engine", below, "the engine runs subtasks without knowing process, cluster or leader"},

	// The assembled processes and what authors import.
	{"task", join(below, "wire", "checkpointstore", "savepoint"), "a job's process takes orders over the wire only"},
	{"local", join(below, "coordinator", "checkpointstore", "savepoint"), "a job in one process needs no cluster and no Raft"},
	{"stream", join(below, "task", "local"), "the SDK hides the engine and knows nothing of the cluster"},
	{"controller", join(words, "ha", "scheduler", "coordinator", "checkpointstore", "objectstore", "wire"),
		"controller and worker are strangers that meet only in wire; a controller never runs a job's code"},
	{"controller/ledger", join(words, "ha", "checkpointstore/catalog", "scheduler", "coordinator"),
		"the replicated state machine is deterministic and does no I/O"},
	{"worker", []string{"wire", "objectstore", "dataflow"}, "controller and worker are strangers that meet only in wire"},
	{"admin", join(words, "wire", "objectstore", "checkpointstore", "state"),
		"the command line speaks the protocol, and reads the store"},

	// The top.
	{"demo", everything, "the demo runs every process"},
	{"bench", everything, "the benchmark runs every process"},
	{"cmd", everything, "commands introduce everybody to everybody"},
	{"examples", join(words, "stream", "connector", "objectstore"), "an example is what an outsider could write"},
	{"chaos", []string{"wire"}, "chaos sees binaries and the protocol, or it would test what it assumes"},
	{"chaos/testjobs", join(words, "stream", "connector", "objectstore"), "a test job is what an outsider could write, as an example is"},
	{"chaos/sim", everything, "the simulation runs the inside"},

	// Small sharp tools, for everybody. Those that know somebody have a rule.
	{"internal", nil, "an internal tool is for everybody and so knows nobody"},
	{"internal/virtual", []string{"ha"}, "it runs Raft groups in tests"},
	{"internal/miniotest", []string{"objectstore"}, "it runs an object store in tests"},
}

// Pure lists the directories whose code must give the same on every node and at
// every time: the replicated state machine and the decisions.
var Pure = []string{"controller/ledger", "checkpointstore/catalog", "scheduler", "coordinator"}

// impure maps what pure code may not use to the reason. A name after a dot is
// one of the package's functions; without, it is the whole package.
var impure = map[string]string{
	"math/rand":      "random numbers travel in the command",
	"math/rand/v2":   "random numbers travel in the command",
	"crypto/rand":    "identifiers travel in the command",
	"os":             "no I/O",
	"net":            "no I/O",
	"net/http":       "no I/O",
	"io/ioutil":      "no I/O",
	"log":            "no I/O",
	"log/slog":       "no I/O: what happened is returned as events",
	"time.Now":       "time travels in the command",
	"time.Since":     "time travels in the command",
	"time.Until":     "time travels in the command",
	"time.After":     "no clock: the caller waits",
	"time.AfterFunc": "no clock: the caller waits",
	"time.NewTimer":  "no clock: the caller waits",
	"time.NewTicker": "no clock: the caller waits",
	"time.Tick":      "no clock: the caller waits",
	"time.Sleep":     "no clock: the caller waits",
	"time.Local":     "a node's time zone is not replicated",
}

// Owner says that a library is used in one place only, behind our own words.
type Owner struct {
	Library string   // prefix of import paths
	Users   []string // directories, each with those below it
	Why     string
}

// Owners is the table of libraries.
var Owners = []Owner{
	{"github.com/hashicorp/", []string{"ha", "internal/virtual"}, "Raft's types stop at ha"},
	{"go.etcd.io/bbolt", []string{"ha"}, "Raft's log is ha's"},
	{"github.com/minio/", []string{"objectstore/s3", "internal/miniotest"}, "S3 stops at objectstore"},
	{"github.com/cockroachdb/", []string{"state/lsm"}, "Pebble stops at its backend"},
	{"github.com/spf13/", []string{"admin", "cmd", "demo", "internal/daemon"}, "commands are parsed at the top"},
}

// everything stands for all packages.
var everything = []string{"*"}

// join returns a new list.
func join(list []string, more ...string) []string {
	return append(append([]string(nil), list...), more...)
}
