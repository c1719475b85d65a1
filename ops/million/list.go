//go:build linux

package million

import (
	"context"
	"fmt"
	"time"
)

const (
	pages = 200 // asked of each size
)

// page is an answer to members.
type page struct {
	Members []struct {
		User   string
		Role   string
		Online bool
	}
	After string
	Count uint64
	Roles map[string]uint64
}

// list has the projections catch up with all that happened, and pages through
// the members.
func (m *measurement) list(ctx context.Context) error {
	// The last by name joins last: once they are listed, everybody is.
	last := "zz-last"
	token, err := token(last, false)
	if err != nil {
		return err
	}
	if err := m.insist(ctx, token, "join", map[string]any{"group": group}); err != nil {
		return err
	}
	if err := m.insist(ctx, m.backend, "member", map[string]any{"group": group, "user": last, "do": "role", "role": "admin"}); err != nil {
		return err
	}
	begun := time.Now()
	if err := m.deployment.project(ctx); err != nil {
		return err
	}
	listed := time.Now()
	err = until(ctx, "everybody is listed", 100*time.Millisecond, func() bool {
		p, err := m.page(ctx, map[string]any{"after": "zz", "role": "admin"})
		return err == nil && len(p.Members) == 1
	})
	if err != nil {
		return err
	}
	m.told("projected into ClickHouse", "%.1f s for what is %d members, behind %.1f s of starting", time.Since(listed).Seconds(), m.Members, listed.Sub(begun).Seconds())
	for _, size := range []int{100, 1000} {
		if err := m.pages(ctx, size); err != nil {
			return err
		}
	}
	var took times
	for range pages {
		asked := time.Now()
		p, err := m.page(ctx, map[string]any{"role": "admin"})
		if err != nil || len(p.Members) != 1 || p.Roles["admin"] != 1 || p.Roles["owner"] != 1 || p.Count != uint64(m.Members)+2 {
			return fmt.Errorf("admins: %+v, %w", p, err)
		}
		took = append(took, time.Since(asked))
	}
	m.told("the one admin among them", "%v", took)
	return nil
}

// pages reads the list from its beginning on.
func (m *measurement) pages(ctx context.Context, size int) error {
	var took times
	after, seen := "", 0
	for len(took) < pages {
		asked := time.Now()
		p, err := m.page(ctx, map[string]any{"after": after, "limit": size})
		if err != nil {
			return err
		}
		took = append(took, time.Since(asked))
		for _, member := range p.Members {
			if member.User <= after {
				return fmt.Errorf("%s is listed behind %s", member.User, after)
			}
			after = member.User
			seen++
		}
		if p.After == "" {
			break
		}
	}
	if want := min(pages*size, m.Members+2); seen != want {
		return fmt.Errorf("%d members in %d pages of %d, want %d", seen, len(took), size, want)
	}
	m.told(fmt.Sprintf("pages of %d members", size), "%v", took)
	return nil
}

func (m *measurement) page(ctx context.Context, question map[string]any) (p page, err error) {
	question["group"] = group
	if question["after"] == "" {
		delete(question, "after")
	}
	return p, m.client.do(ctx, m.backend, "members", question, &p)
}
