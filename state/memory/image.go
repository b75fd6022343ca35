package memory

import (
	"context"

	"github.com/cairnstream/cairn/state"
)

const (
	// imageParts is into how many ranges of key groups an image is divided,
	// so that a restore with another parallelism reads little that it does not need.
	imageParts = 16
	// imageBlockBytes is about the size of a block: large enough to be a good
	// read from an object store.
	imageBlockBytes = 1 << 20
)

// image writes all live entries into blocks.
func (s *Store) image() []state.Block {
	groups := s.cfg.GroupHi - s.cfg.GroupLo + 1
	parts := min(imageParts, groups)
	open := make([]state.Block, parts)
	for i := range open {
		open[i].GroupLo = s.cfg.GroupLo + (i*groups+parts-1)/parts
		open[i].GroupHi = s.cfg.GroupLo + ((i+1)*groups+parts-1)/parts - 1
	}
	var done []state.Block
	for _, e := range s.live {
		b := &open[(e.group()-s.cfg.GroupLo)*parts/groups]
		b.Data = state.AppendEntry(b.Data, state.Entry{
			Handle: e.handle(), Group: e.group(), Key: e.key(), Sub: e.sub(), Value: e.value(),
		})
		if b.Entries++; len(b.Data) >= imageBlockBytes {
			done = append(done, *b)
			b.Data, b.Entries = nil, 0
		}
	}
	for _, b := range open {
		if b.Entries > 0 {
			done = append(done, b)
		}
	}
	return done
}

// image is a state.Image.
type image struct{ blocks []state.Block }

func (i *image) Write(_ context.Context, yield func(state.Block) error) error {
	for _, b := range i.blocks {
		if err := yield(b); err != nil {
			return err
		}
	}
	return nil
}

func (i *image) Fuzzy() bool { return false }
func (i *image) Close()      {}
