package flights

import "testing"

func TestRowsIsWhatTheExtractHas(t *testing.T) {
	rows, err := readExtract()
	if err != nil || len(rows) != Rows {
		t.Errorf("the extract has %d rows (%v), Rows says %d", len(rows), err, Rows)
	}
}
