package refusals_test

import (
	"bytes"
	"fmt"
	"slices"
	"sync"
	"testing"
)

// class is what a secret is a secret of, and so who may know it.
type class string

const (
	ofMembers class = "members" // what every member of the group may know
	ofPrivate class = "private" // of the private channel and its thread
	ofBefore  class = "before"  // what was before somebody joined, where history is since then
	ofHidden  class = "hidden"  // the words of what the user hides
	ofNobody  class = "nobody"  // recalled and expired words, codes of invitations
	ofOthers  class = "others"  // of a direct group of others
	ofBlocked class = "blocked" // what somebody says to who has blocked them
)

// secrets are the strings of one world that not everybody may know.
type secrets struct {
	id string

	mu  sync.Mutex
	all map[string]class // guarded by mu
}

// mark makes a secret. It can be a name, a key, a type, a body, an emoji.
func (s *secrets) mark(c class, label string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	text := fmt.Sprintf("Zq%s-%s-z", label, s.id)
	if s.all == nil {
		s.all = map[string]class{}
	}
	s.all[text] = c
	return text
}

// told returns the secrets in a text that are not of the classes its reader may
// know.
func (s *secrets) told(text []byte, may []class) (found []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !bytes.Contains(text, []byte("Zq")) {
		return nil
	}
	for secret, c := range s.all {
		if !slices.Contains(may, c) && bytes.Contains(text, []byte(secret)) {
			found = append(found, secret)
		}
	}
	return found
}

// findings are what the judges found.
type findings struct {
	mu    sync.Mutex
	leaks []string // secrets that were told; guarded by mu
	signs []string // what is not there was answered in two ways; guarded by mu
}

func (f *findings) leak(format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.leaks = append(f.leaks, fmt.Sprintf(format, args...))
}

func (f *findings) sign(format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.signs = append(f.signs, fmt.Sprintf(format, args...))
}

// report fails the test with what was found.
func (f *findings) report(t testing.TB) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, list := range [][]string{f.leaks, f.signs} {
		for i, finding := range list {
			if i == 20 {
				t.Errorf("and %d more", len(list)-i)
				break
			}
			t.Error(finding)
		}
	}
}
