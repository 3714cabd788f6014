// Package packtest holds a binary form to the types that it is of.
//
// A field that somebody adds to a type and forgets in its binary form is lost on the way to another
// node, where nobody misses it for long. So the test of a form sends a value in which no field is
// zero, and asks here whether that is so: a new field is zero in it until somebody sets it there,
// and then the comparison of what was sent with what came finds whether it travels.
//
// It is for tests, and nothing else imports it. Start reading at Zeros.
package packtest

import (
	"fmt"
	"reflect"
	"slices"
)

// Zeros returns the paths of all fields in v, and in what it points to, that are zero or empty, but
// does not look into values of the types of leaves. Of a list it looks at the first element.
func Zeros(v any, leaves ...any) (paths []string) {
	var types []reflect.Type
	for _, leaf := range leaves {
		types = append(types, reflect.TypeOf(leaf))
	}
	var look func(v reflect.Value, path string)
	look = func(v reflect.Value, path string) {
		if v.IsZero() {
			paths = append(paths, path)
			return
		}
		if slices.Contains(types, v.Type()) {
			return
		}
		switch v.Kind() {
		case reflect.Pointer, reflect.Interface:
			look(v.Elem(), path)
		case reflect.Slice, reflect.Map:
			if v.Len() == 0 {
				paths = append(paths, path)
			} else if v.Kind() == reflect.Slice {
				look(v.Index(0), path+"[0]")
			}
		case reflect.Struct:
			for i := range v.NumField() {
				look(v.Field(i), fmt.Sprintf("%s.%s", path, v.Type().Field(i).Name))
			}
		}
	}
	look(reflect.ValueOf(v), "")
	return paths
}

// Fields returns the names of the fields of v's type.
func Fields(v any) (names []string) {
	t := reflect.TypeOf(v)
	for i := range t.NumField() {
		names = append(names, t.Field(i).Name)
	}
	return names
}
