// Package order sorts slices of structs. slices.SortFunc of the standard library is
// faster, and compiled anew for each type: with what a stack trace needs, some 25 KB of
// the program for each of the forty types that are sorted here, none of them
// where speed matters.
package order

import "sort"

// By sorts the list by compare, which is as for slices.SortFunc: negative when a
// comes before b. Elements that compare as equal change places.
func By[T any](list []T, compare func(a, b T) int) { sort.Sort(&by[T]{list, compare}) }

// Stable is By, but elements that compare as equal stay in their order.
func Stable[T any](list []T, compare func(a, b T) int) { sort.Stable(&by[T]{list, compare}) }

type by[T any] struct {
	list    []T
	compare func(a, b T) int
}

// Len implements sort.Interface.
func (b *by[T]) Len() int { return len(b.list) }

// Less implements sort.Interface.
func (b *by[T]) Less(i, j int) bool { return b.compare(b.list[i], b.list[j]) < 0 }

// Swap implements sort.Interface.
func (b *by[T]) Swap(i, j int) { b.list[i], b.list[j] = b.list[j], b.list[i] }
