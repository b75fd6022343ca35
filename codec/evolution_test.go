package codec

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"
	"unsafe"
)

// TestRandomEvolution makes a random struct, changes it at random, and compares
// field by field what becomes of a random value.
func TestRandomEvolution(t *testing.T) {
	base := uint64(time.Now().UnixNano())
	for seed := base; seed < base+300; seed++ {
		r := rand.New(rand.NewPCG(seed, 0))
		forms := []form{compact, fixed, ordered}
		ff, tf := forms[r.IntN(3)], forms[r.IntN(3)]
		flat := ff != compact || tf != compact
		from, to, source := randomTypes(r, flat)
		fp, err1 := planOf(from, mode{form: ff})
		tp, err2 := planOf(to, mode{form: tf})
		if err := errors.Join(err1, err2); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		convert, err := Transcoder(fp.schema, tp.lineage)
		if err != nil {
			t.Fatalf("seed %d: %s to %s: %v", seed, fp.schema, tp.lineage, err)
		}
		old := reflect.New(from)
		fill(r, old.Elem())
		b, err := convert(nil, appendValue(fp, nil, old.UnsafePointer()))
		if err != nil {
			t.Fatalf("seed %d: %s to %s: %v", seed, fp.schema, tp.schema, err)
		}
		now := reflect.New(to)
		d := decoder{src: b}
		if err := d.value(tp, now.UnsafePointer()); err != nil || d.pos != len(b) {
			t.Fatalf("seed %d: %s to %s: %v, %d of %d bytes", seed, fp.schema, tp.schema, err, d.pos, len(b))
		}
		for i := range to.NumField() {
			got, want := now.Elem().Field(i), reflect.Zero(to.Field(i).Type)
			if source[i] >= 0 {
				want = old.Elem().Field(source[i]).Convert(to.Field(i).Type)
			}
			if !reflect.DeepEqual(got.Interface(), want.Interface()) {
				t.Fatalf("seed %d: %s to %s: field %s is %v, want %v", seed, fp.schema, tp.schema, to.Field(i).Name, got, want)
			}
		}
	}
}

var wideners = map[reflect.Type]reflect.Type{
	reflect.TypeFor[int8]():    reflect.TypeFor[int32](),
	reflect.TypeFor[int32]():   reflect.TypeFor[int64](),
	reflect.TypeFor[uint16]():  reflect.TypeFor[uint32](),
	reflect.TypeFor[uint32]():  reflect.TypeFor[int64](),
	reflect.TypeFor[float32](): reflect.TypeFor[float64](),
}

// randomTypes returns a struct, what it has become, and for each of the new fields the
// old one that it was, or -1.
func randomTypes(r *rand.Rand, flat bool) (from, to reflect.Type, source []int) {
	types := []reflect.Type{
		reflect.TypeFor[bool](), reflect.TypeFor[int8](), reflect.TypeFor[int32](), reflect.TypeFor[uint16](),
		reflect.TypeFor[uint32](), reflect.TypeFor[float32](), reflect.TypeFor[int64](), reflect.TypeFor[[3]int8](),
	}
	if !flat {
		types = append(types, reflect.TypeFor[string](), reflect.TypeFor[[]int16](), reflect.TypeFor[map[string]int32](), reflect.TypeFor[[]byte]())
	}
	var old, now []reflect.StructField
	for i := range 1 + r.IntN(6) {
		old = append(old, reflect.StructField{Name: fmt.Sprint("F", i), Type: types[r.IntN(len(types))]})
	}
	for _, i := range r.Perm(len(old)) {
		f := old[i]
		switch r.IntN(5) {
		case 0:
			continue // removed
		case 1:
			f.Tag = reflect.StructTag(`cairn:"was=` + f.Name + `"`)
			f.Name = "Was" + f.Name
		case 2:
			if wide := wideners[f.Type]; wide != nil {
				f.Type = wide
			}
		}
		now, source = append(now, f), append(source, i)
	}
	for i := range r.IntN(3) {
		now, source = append(now, reflect.StructField{Name: fmt.Sprint("New", i), Type: types[r.IntN(len(types))]}), append(source, -1)
	}
	return reflect.StructOf(old), reflect.StructOf(now), source
}

// fill sets a value at random.
func fill(r *rand.Rand, v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(r, v.Field(i))
		}
	case reflect.Array:
		for i := range v.Len() {
			fill(r, v.Index(i))
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), r.IntN(4), 4))
		for i := range v.Len() {
			fill(r, v.Index(i))
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for i := range r.IntN(4) {
			e := reflect.New(v.Type().Elem()).Elem()
			fill(r, e)
			v.SetMapIndex(reflect.ValueOf(fmt.Sprint("k", i)), e)
		}
	case reflect.String:
		v.SetString(fmt.Sprint(r.Uint32()))
	case reflect.Bool:
		v.SetBool(r.IntN(2) == 0)
	case reflect.Float32, reflect.Float64:
		v.SetFloat(float64(r.IntN(1000)) / 8)
	default:
		b := unsafe.Slice((*byte)(v.Addr().UnsafePointer()), v.Type().Size())
		for i := range b {
			b[i] = byte(r.Uint32())
		}
	}
}
