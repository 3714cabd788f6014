package load

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"

	"throng/wire"
)

// Provisioning makes the users, guilds and members of a shape through the backend door. It may be
// done again: the same ids are replaced by the same.

// usersPerRequest users or members go in one body, which is about a megabyte.
const usersPerRequest = 10_000

// provisioners work at a time, so that small guilds do not wait for each other's answers.
const provisioners = 8

type rejected struct {
	count int
	first string
}

// rejections reads what an NDJSON route answers. A route that took one object says nothing of it.
func rejections(reply []byte) rejected {
	var tally struct {
		Rejected []struct {
			Error string `json:"error"`
		} `json:"rejected"`
		Count int `json:"rejected_count"`
	}
	if json.Unmarshal(reply, &tally) != nil || len(tally.Rejected) == 0 {
		return rejected{}
	}
	return rejected{max(tally.Count, len(tally.Rejected)), tally.Rejected[0].Error}
}

func (r *run) provision(ctx context.Context) error {
	users := (r.shape.users + usersPerRequest - 1) / usersPerRequest
	err := r.together(ctx, users, func(d *adminDoor, i int) error {
		end := min((i+1)*usersPerRequest, r.shape.users)
		var body bytes.Buffer
		for user := i * usersPerRequest; user < end; user++ {
			body.WriteString(`{"id":"` + r.shape.id(kindUser, user).String() + `","username":"` +
				userName(user) + `","bot":true,"token":`)
			token := fillToken(r.config.Token, user)
			body.Write(wire.AppendString(nil, token))
			body.WriteString("}\n")
		}
		return d.load(ctx, http.MethodPost, "/v1/users", body.Bytes())
	})
	if err != nil {
		return fmt.Errorf("make users: %w", err)
	}
	err = r.together(ctx, r.shape.guilds(), func(d *adminDoor, g int) error {
		return r.provisionGuild(ctx, d, g)
	})
	if err != nil {
		return fmt.Errorf("make guilds: %w", err)
	}
	return nil
}

func (r *run) provisionGuild(ctx context.Context, d *adminDoor, g int) error {
	members := r.shape.members(g)
	path := "/v1/guilds/" + r.shape.id(kindGuild, g).String()
	doc := fmt.Sprintf(`{"name":"load %d","owner_id":"%s","channels":[{"id":"%s","type":0,`+
		`"name":"general"}]}`, g, r.shape.id(kindUser, members[0]), r.shape.id(kindChannel, g))
	if err := d.load(ctx, http.MethodPut, path, []byte(doc)); err != nil {
		return err
	}
	for begin := 0; begin < len(members); begin += usersPerRequest {
		var body bytes.Buffer
		for _, user := range members[begin:min(begin+usersPerRequest, len(members))] {
			body.WriteString(`{"user_id":"` + r.shape.id(kindUser, user).String() + "\"}\n")
		}
		if err := d.load(ctx, http.MethodPost, path+"/members", body.Bytes()); err != nil {
			return err
		}
	}
	return nil
}

// load sends one body that has to be taken as a whole.
func (d *adminDoor) load(ctx context.Context, method, path string, body []byte) error {
	status, reply, err := post(ctx, d.client, method, d.base+path, body, d.headers)
	if err != nil {
		return err
	}
	if status/100 != 2 {
		return fmt.Errorf("%s %s: %s %.200s", method, path, strconv.Itoa(status), reply)
	}
	if n := rejections(reply); n.count > 0 {
		return fmt.Errorf("%s %s: %d rejected: %s", method, path, n.count, n.first)
	}
	return nil
}

// together does n jobs, a few at a time, until one fails.
func (r *run) together(ctx context.Context, n int, job func(d *adminDoor, i int) error) error {
	var next atomic.Int64
	var all sync.WaitGroup
	faults := make(chan error, provisioners)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for range min(provisioners, n) {
		all.Go(func() {
			d := r.adminDoor()
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				if err := job(d, i); err != nil {
					faults <- err
					cancel()
					return
				}
			}
		})
	}
	all.Wait()
	select {
	case err := <-faults:
		return err
	default:
		return ctx.Err()
	}
}
