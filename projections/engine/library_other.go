//go:build !(linux && amd64)

package engine

func loadLibrary(string) (func([]string) string, error) { return nil, ErrUnsupported }
