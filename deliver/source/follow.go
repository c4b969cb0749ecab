package source

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"steer/base/database"
	"steer/base/event"
	"steer/base/fault"
	"steer/base/git"
	"steer/base/id"
)

const (
	fetchesAtOnce = 8
	fetchSlow     = 30 * time.Second // after which a fetch no longer counts as one of those
	fetchLimit    = 30 * time.Minute // a first fetch may be large
	firstPush     = 20               // commits taken of a repository that just began
	mostAtOnce    = 10_000           // commits taken of one look
	maxMessage    = 8 << 10          // bytes of a message that are handed on
)

// Merged is the data of an event.ChangeMerged.
type Merged struct {
	Repo      string    `json:"repo"`
	Branch    string    `json:"branch"`
	SHA       string    `json:"sha"`
	Author    string    `json:"author"`
	Email     string    `json:"email"`
	Message   string    `json:"message"`
	Committed time.Time `json:"committed"`
	Parents   []string  `json:"parents"`
	Pusher    id.Person `json:"pusher,omitempty"`
}

// follow hands on what is new in a repository and returns its head. done is a
// head that is known to be handed on already.
func (s *Source) follow(ctx context.Context, r repository, done string) (head string, err error) {
	repo, err := s.refresh(ctx, r)
	if err != nil {
		return "", err
	}
	head, err = repo.Head(ctx, r.branch)
	if fault.Of(err) == fault.NotFound {
		return "", s.empty(ctx, r, repo)
	}
	if err != nil || head == done {
		return head, err
	}
	last, known, err := s.position(ctx, r)
	if err != nil || known && last == head {
		return head, err
	}
	commits, err := s.fresh(ctx, r, repo, last, known, head)
	if err != nil {
		return "", err
	}
	pushers, err := s.pushers(ctx, r, repo, commits)
	if err != nil {
		return "", err
	}
	for i, c := range commits {
		err := s.handOn(ctx, r, position{last, known}, c, pushers[i])
		if errors.Is(err, errMoved) {
			return "", nil // the next look shows how far
		}
		if err != nil {
			return "", err
		}
		last, known = c.SHA, true
	}
	if last != head { // mainline was set back to what is known
		err = s.DB.Tx(ctx, func(tx *sql.Tx) error { return s.move(ctx, tx, r, position{last, known}, head) })
		if errors.Is(err, errMoved) {
			return "", nil
		}
	}
	return head, err
}

// pushers says who brought each of the commits here. Those of one push stand
// before its newest, whom the repository's record names.
func (s *Source) pushers(ctx context.Context, r repository, repo *git.Repo, commits []git.Commit) ([]id.Person, error) {
	pushers := make([]id.Person, len(commits))
	if r.address != "" {
		return pushers, nil
	}
	movers, err := repo.Movers(ctx, r.branch, 1000)
	if err != nil {
		return nil, err
	}
	var pusher id.Person
	for i, c := range slices.Backward(commits) {
		if m, ok := movers[c.SHA]; ok {
			pusher = id.Person(m)
		}
		pushers[i] = pusher
	}
	return pushers, nil
}

// refresh opens the repository, after fetching it when it lies elsewhere.
func (s *Source) refresh(ctx context.Context, r repository) (*git.Repo, error) {
	if r.address == "" {
		repo, err := git.Open(r.dir)
		if err != nil {
			return nil, err
		}
		return repo, repo.SetMainline(ctx, r.branch)
	}
	// Not too many at once; but those that hang must not keep the others away.
	select {
	case s.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	release := sync.OnceFunc(func() { <-s.slots })
	defer release()
	defer time.AfterFunc(fetchSlow, release).Stop()
	ctx, cancel := context.WithTimeout(ctx, fetchLimit)
	defer cancel()
	return git.Fetch(ctx, r.address, r.dir)
}

// empty handles a repository without a mainline.
func (s *Source) empty(ctx context.Context, r repository, repo *git.Repo) error {
	branches, err := repo.Branches(ctx)
	if err != nil {
		return err
	}
	if len(branches) > 0 {
		return fault.New(fault.NotFound, "repository %s has no branch %q, only %s: push one as %[2]s (git push … %[4]s:%[2]s), or set branch in services.yaml",
			r.name, r.branch, strings.Join(branches[:min(len(branches), 5)], ", "), branches[0])
	}
	return s.begin(ctx, r)
}

// fresh returns the commits to hand on, oldest first.
func (s *Source) fresh(ctx context.Context, r repository, repo *git.Repo, last string, known bool, head string) ([]git.Commit, error) {
	switch {
	case !known: // it had a life before Steer
		return repo.Trunk(ctx, "", head, 1)
	case last == "":
		return repo.Trunk(ctx, "", head, firstPush)
	}
	there, err := repo.Has(ctx, last)
	if err != nil {
		return nil, err
	}
	if !there {
		s.Log.Warn("the history of a repository was replaced, its newest commit counts", "repository", r.name, "last", last, "head", head)
		return repo.Trunk(ctx, "", head, 1)
	}
	return repo.Trunk(ctx, last, head, mostAtOnce)
}

// handOn gives one commit to the callback and the journal, and moves the
// position, all or nothing.
func (s *Source) handOn(ctx context.Context, r repository, from position, g git.Commit, pusher id.Person) error {
	c := Commit{
		Service: r.service, Repo: r.name, Branch: r.branch, SHA: g.SHA, Author: cmp.Or(g.Author, "unknown"), Email: g.Email,
		Message: g.Message, Time: g.Time, Parents: g.Parents, Pusher: pusher, Chain: id.New(),
	}
	if len(c.Message) > maxMessage {
		c.Message = strings.ToValidUTF8(c.Message[:maxMessage], "") + "…"
	}
	data, err := json.Marshal(Merged{c.Repo, c.Branch, c.SHA, c.Author, c.Email, c.Message, c.Time, c.Parents, c.Pusher})
	if err != nil {
		return err
	}
	err = s.DB.Tx(ctx, func(tx *sql.Tx) error {
		if err := s.move(ctx, tx, r, from, c.SHA); err != nil {
			return err
		}
		added, err := changed(tx.ExecContext(ctx, `INSERT INTO source_commit (repo, sha, chain, seen) VALUES ($1, $2, $3, $4)
			ON CONFLICT (repo, sha) DO NOTHING`, c.Repo, c.SHA, c.Chain, database.Micros(time.Now())))
		if err != nil || !added { // history went back and forth: it was handed on before
			return err
		}
		e := event.Event{
			Source: "/steer/source", Type: event.ChangeMerged, Subject: "commit/" + c.SHA, Data: data, Chain: c.Chain,
			Actor: id.Person(c.Author), Reason: c.Message, Service: r.service.Artifact,
			Summary: fmt.Sprintf("%s changed %s: %s", c.Author, c.Repo, cmp.Or(g.Title(), "no reason given")),
		}
		if err := s.Journal.Append(ctx, tx, &e); err != nil {
			return err
		}
		c.Event = e.ID
		return s.Commit(ctx, tx, c)
	})
	if err != nil {
		return fmt.Errorf("commit %.12s of %s: %w", c.SHA, r.name, err)
	}
	return nil
}

// position is how far a mainline was followed: up to sha, or not at all.
type position struct {
	sha   string
	known bool
}

func (s *Source) position(ctx context.Context, r repository) (sha string, known bool, err error) {
	err = s.DB.Read().QueryRowContext(ctx, `SELECT sha FROM source_position WHERE repo = $1 AND branch = $2`, r.name, r.branch).Scan(&sha)
	if errors.Is(err, sql.ErrNoRows) {
		return "", false, nil
	}
	if err != nil {
		return "", false, fmt.Errorf("read position of %s: %w", r.name, err)
	}
	return sha, true, nil
}

// begin notes that a repository is known while it is empty.
func (s *Source) begin(ctx context.Context, r repository) error {
	_, err := s.DB.Write().ExecContext(ctx, `INSERT INTO source_position (repo, branch, sha, moved) VALUES ($1, $2, '', $3)
		ON CONFLICT (repo, branch) DO NOTHING`, r.name, r.branch, database.Micros(time.Now()))
	return err
}

// errMoved: another server that shares the database follows the repository, too,
// and was faster.
var errMoved = fault.New(fault.Conflict, "the position has moved")

// move advances a position that is still where the caller saw it.
func (s *Source) move(ctx context.Context, tx *sql.Tx, r repository, from position, to string) error {
	now := database.Micros(time.Now())
	var moved bool
	var err error
	if from.known {
		moved, err = changed(tx.ExecContext(ctx, `UPDATE source_position SET sha = $1, moved = $2 WHERE repo = $3 AND branch = $4 AND sha = $5`,
			to, now, r.name, r.branch, from.sha))
	} else {
		moved, err = changed(tx.ExecContext(ctx, `INSERT INTO source_position (repo, branch, sha, moved) VALUES ($1, $2, $3, $4)
			ON CONFLICT (repo, branch) DO NOTHING`, r.name, r.branch, to, now))
	}
	if err == nil && !moved {
		return errMoved
	}
	return err
}

func changed(result sql.Result, err error) (bool, error) {
	if err != nil {
		return false, err
	}
	n, err := result.RowsAffected()
	return n > 0, err
}
