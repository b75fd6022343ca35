package checkpointstore

import "github.com/cairnstream/cairn/dataflow"

// FormatFolder is the version of the metadata object of a canonical savepoint: its keys
// are relative to the folder that it is in. A reader of lower versions would look for them
// elsewhere.
const FormatFolder = 3

// Folder describes the folder of a canonical savepoint.
type Folder struct {
	// Files are all files of the folder but the metadata object, in the order of their names.
	Files []FolderFile `json:"files"`
	Rows  int64        `json:"rows"`  // in all of them
	Bytes int64        `json:"bytes"` // of all of them
}

// FolderFile is a Parquet file of a savepoint.
type FolderFile struct {
	Name     string       `json:"name"` // relative to the folder
	Operator dataflow.UID `json:"operator"`
	State    string       `json:"state"`
	Kind     string       `json:"kind"`
	Rows     int64        `json:"rows"`
	Size     int64        `json:"size"`
	CRC32C   uint32       `json:"crc32c"` // of the whole file
	// GroupLo and GroupHi are the key groups of the rows, of keyed state.
	GroupLo int `json:"group_lo"`
	GroupHi int `json:"group_hi"`
}
