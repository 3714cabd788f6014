package node

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"

	"throng/node/api"
	"throng/wire"
)

// The demo's ids. Tokens have the shape that Discord's have, since some libraries read the user's
// id out of them; they are no secret and are only valid in a demo.
const (
	demoGuild   = wire.Snowflake(200000000000000001)
	demoGeneral = wire.Snowflake(300000000000000001)
	demoHidden  = wire.Snowflake(300000000000000002)
	demoRole    = wire.Snowflake(400000000000000001)
)

var demoUsers = []struct {
	id    wire.Snowflake
	name  string
	bot   bool
	roles string
	token string
}{
	{100000000000000001, "bot", true, "[]", "MTAwMDAwMDAwMDAwMDAwMDAx.demo00.bot"},
	{100000000000000002, "alice", false, `["400000000000000001"]`,
		"MTAwMDAwMDAwMDAwMDAwMDAy.demo00.alice"},
	{100000000000000003, "bob", false, "[]", "MTAwMDAwMDAwMDAwMDAwMDAz.demo00.bob"},
}

// demoDoc is the guild: a channel for all, and one that only a role sees.
func demoDoc() []byte {
	type object = map[string]any
	doc, err := json.Marshal(object{
		"name": "throng demo", "owner_id": demoUsers[1].id,
		"roles": []object{
			{"id": demoGuild, "name": "@everyone", "permissions": wire.PermissionsDefault},
			{"id": demoRole, "name": "staff", "permissions": "0", "position": 1, "hoist": true},
		},
		"channels": []object{
			{"id": demoGeneral, "type": 0, "name": "general", "position": 0},
			{"id": demoHidden, "type": 0, "name": "staff", "position": 1,
				"permission_overwrites": []object{
					{"id": demoGuild, "type": 0, "allow": "0", "deny": wire.PermissionViewChannel},
					{"id": demoRole, "type": 0, "allow": wire.PermissionViewChannel, "deny": "0"},
				}},
		},
	})
	if err != nil {
		panic(err)
	}
	return doc
}

// setUpDemo makes the demo's users and guild and prints what to try.
func (n *Node) setUpDemo(ctx context.Context, d *doors) error {
	var members [][]byte
	for _, u := range demoUsers {
		doc := fmt.Appendf(nil, `{"id":"%s","username":"%s","discriminator":"0",`+
			`"global_name":null,"avatar":null,"bot":%t}`, u.id, u.name, u.bot)
		_, err := n.PutUsers(ctx, []api.UserInput{
			{ID: u.id, Doc: doc, Token: u.token}})
		if err != nil {
			return err
		}
		members = append(members, fmt.Appendf(nil, `{"user_id":"%s","roles":%s}`, u.id, u.roles))
	}
	if err := n.PutGuild(ctx, demoGuild, demoDoc()); err != nil {
		return err
	}
	if _, err := n.PutMembers(ctx, demoGuild, members, false); err != nil {
		return err
	}
	n.printDemo(d)
	return nil
}

// printDemo prints the tokens and three things to do with them.
func (n *Node) printDemo(d *doors) {
	gateway, client, admin := local(d.gateway), local(d.client.Addr().String()),
		local(d.admin.Addr().String())
	fmt.Fprintf(os.Stdout, "throng demo: guild %s, everything in memory\n\n", demoGuild)
	for _, u := range demoUsers {
		fmt.Fprintf(os.Stdout, "  %-6s user %s  token %s\n", u.name, u.id, u.token)
	}
	bearer := ""
	if n.cfg.AdminToken != "" {
		bearer = `-H "Authorization: Bearer $THRONG_ADMIN_TOKEN" `
	}
	fmt.Fprintf(os.Stdout, `
discord.js:  new Client({ intents: 33281, rest: { api: "http://%s/api" } }).login("%s")
any client:  %s%s/?v=10&encoding=json
a browser:   http://%s/ is the console; it has two clients to try

As a user of the client's API, say something in #general:
  curl -H 'Authorization: %s' -H 'Content-Type: application/json' \
    -d '{"content":"hello"}' http://%s/api/v10/channels/%s/messages

As the backend, publish an event to the guild:
  curl %s-d '{"t":"TYPING_START","d":{"channel_id":"%s","user_id":"%s","timestamp":0}}' \
    http://%s/v1/guilds/%s/events

`, client, demoUsers[0].token, n.core.limits.scheme, gateway, admin, demoUsers[1].token, client,
		demoGeneral,
		bearer, demoGeneral, demoUsers[1].id, admin, demoGuild)
}

// local is an address as somebody on this host would write it.
func local(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}
