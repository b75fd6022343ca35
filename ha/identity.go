package ha

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

const (
	identityFile   = "identity.json"
	identityFormat = 1
)

// identity says whose a data directory is. It is written before anything else
// and never changed.
type identity struct {
	Format      int    `json:"format"`
	Cluster     string `json:"cluster"`
	Fingerprint string `json:"fingerprint"`
	Node        string `json:"node"`
}

func (i identity) String() string {
	return fmt.Sprintf("node %q of cluster %q (fingerprint %.12s)", i.Node, i.Cluster, i.Fingerprint)
}

// fingerprint is what the nodes of a cluster have in common and share with no
// other cluster: its name and the ids it began with. Addresses may change.
func (c Config) fingerprint() [sha256.Size]byte {
	ids := make([]string, 0, len(c.Peers))
	for _, p := range c.Peers {
		ids = append(ids, p.ID)
	}
	slices.Sort(ids)
	h := sha256.New()
	for _, s := range append([]string{c.Cluster}, ids...) {
		fmt.Fprintf(h, "%d:%s", len(s), s)
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// identity is what c's data directory must say.
func (c Config) identity() identity {
	sum := c.fingerprint()
	return identity{identityFormat, c.Cluster, hex.EncodeToString(sum[:]), c.ID}
}

// claim makes an empty data directory ours and refuses one that is not.
func claim(dir string, ours identity) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	err := checkIdentity(dir, ours)
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if _, err := os.Stat(filepath.Join(dir, logFile)); err == nil {
		return fmt.Errorf("%w: %s has a log and no %s", ErrForeignCluster, dir, identityFile)
	}
	data, err := json.MarshalIndent(ours, "", "  ")
	if err != nil {
		return err
	}
	return writeDurably(filepath.Join(dir, identityFile), append(data, '\n'))
}

// checkIdentity compares the directory's identity with ours. Without one it
// returns fs.ErrNotExist.
func checkIdentity(dir string, ours identity) error {
	path := filepath.Join(dir, identityFile)
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var theirs identity
	if err := json.Unmarshal(data, &theirs); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrCorrupt, path, err)
	}
	if theirs != ours {
		return fmt.Errorf("%w: %s is of %v; this is %v: start it with the id and the peers that it was made with, or with an empty data directory",
			ErrForeignCluster, dir, theirs, ours)
	}
	return nil
}

// writeDurably creates a file so that a crash leaves all of it or nothing.
func writeDurably(path string, data []byte) (err error) {
	tmp, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".tmp*")
	if err != nil {
		return err
	}
	_, err = tmp.Write(data)
	err = errors.Join(err, tmp.Sync(), tmp.Close())
	if err != nil {
		return errors.Join(err, os.Remove(tmp.Name()))
	}
	if err := os.Rename(tmp.Name(), path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// syncDir makes a rename in dir durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
