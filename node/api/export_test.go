package api

import (
	"io"
	"net/http"
	"testing"
)

func TestMembersComeBackInLines(t *testing.T) {
	n := furnished()
	n.guilds[2].members = []string{"1", "2"}
	n.guilds[5] = &fakeGuild{}
	url := serve(t, Admin(n, Config{}))
	a := request(t, "GET", url+"/v1/guilds/2/members", "")
	a.want(t, 200, "{\"user_id\":\"1\"}\n{\"user_id\":\"2\"}")
	if kind := a.header.Get("Content-Type"); kind != "application/x-ndjson" {
		t.Errorf("got content type %q", kind)
	}
	request(t, "GET", url+"/v1/guilds/5/members", "").want(t, 200, "")
	request(t, "GET", url+"/v1/guilds/9/members", "").want(t, 404, "")
}

// TestExportThatFailsIsCutOff: what came must not be taken for all of it.
func TestExportThatFailsIsCutOff(t *testing.T) {
	n := furnished()
	n.guilds[2].members = []string{"1", "666"}
	n.guilds[5] = &fakeGuild{members: []string{"666"}}
	url := serve(t, Admin(n, Config{}))
	answer, err := http.Get(url + "/v1/guilds/2/members")
	if err == nil {
		defer answer.Body.Close()
		_, err = io.ReadAll(answer.Body)
	}
	if err == nil {
		t.Error("the answer came to an orderly end")
	}
	request(t, "GET", url+"/v1/guilds/5/members", "").want(t, 500, "")
}
