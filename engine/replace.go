package engine

import (
	"errors"
	"fmt"
	"reflect"
)

// OptionsOfSource returns the options of a source of records of type T, so that a test can put
// another source in its place. The error says what op is instead.
func OptionsOfSource[T any](op Operator) (SourceOptions[T], error) {
	if s, ok := op.(*source[T]); ok {
		return s.opts, nil
	}
	if s, ok := op.(interface{ reads() reflect.Type }); ok {
		return SourceOptions[T]{}, fmt.Errorf("it reads records of type %v and not %v", s.reads(), reflect.TypeFor[T]())
	}
	return SourceOptions[T]{}, errors.New("it is not a source")
}

// CheckSink tells why op is not a sink for records of type T, or nil.
func CheckSink[T any](op Operator) error {
	if _, ok := op.(*sinkOperator[T]); ok {
		return nil
	}
	if s, ok := op.(interface{ writes() reflect.Type }); ok {
		return fmt.Errorf("it writes records of type %v and not %v", s.writes(), reflect.TypeFor[T]())
	}
	return errors.New("it is not a sink")
}

func (*source[T]) reads() reflect.Type        { return reflect.TypeFor[T]() }
func (*sinkOperator[T]) writes() reflect.Type { return reflect.TypeFor[T]() }
