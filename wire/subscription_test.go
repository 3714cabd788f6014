package wire

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
)

const sampleSubscription = `"typing":true,"threads":true,"activities":true,` +
	`"member_updates":false,"members":["5",6],"channels":{"7":[[0,99],[100,199]],"8":[]},` +
	`"thread_member_lists":["9"]`

func TestSubscriptionIsReadWithAllItsKeys(t *testing.T) {
	yes, no := true, false
	want := Subscription{
		Typing: &yes, Threads: &yes, Activities: &yes, MemberUpdates: &no,
		Members:     []Snowflake{5, 6},
		Channels:    []ListRanges{{7, []ListRange{{0, 99}, {100, 199}}}},
		ThreadLists: []Snowflake{9},
	}
	for _, enc := range []Encoding{EncodingJSON, EncodingETF} {
		for op, text := range map[Op]string{
			OpGuildSubscriptions:     `{"guild_id":"1",` + sampleSubscription + `}`,
			OpGuildSubscriptionsBulk: `{"subscriptions":{"1":{` + sampleSubscription + `}}}`,
		} {
			payload := fmt.Appendf(nil, `{"op":%d,"d":%s}`, int(op), text)
			if enc == EncodingETF {
				payload = etfOf(t, string(payload))
			}
			cmd, _, fault := ParseCommand(enc, payload, nil)
			if fault != nil || cmd.Op != op {
				t.Fatalf("%v %v: got %v, %v", enc, op, cmd.Op, fault)
			}
			var all []GuildSubscription
			if op == OpGuildSubscriptionsBulk {
				all, fault = ParseSubscriptions(cmd.Data)
			} else {
				var one GuildSubscription
				one, fault = ParseSubscription(cmd.Data)
				all = []GuildSubscription{one}
			}
			if fault != nil || !reflect.DeepEqual(all, []GuildSubscription{{1, want}}) {
				t.Errorf("%v %v: got %+v, %v", enc, op, all, fault)
			}
		}
	}
}

func TestSubscriptionTakesSloppyForms(t *testing.T) {
	for _, test := range []struct {
		name, d string
		want    Subscription
	}{
		{"nothing", `{"guild_id":1}`, Subscription{}},
		{"nulls", `{"guild_id":["1"],"typing":null,"members":null,"channels":null}`, Subscription{}},
		{"one member", `{"guild_id":"1","members":"5"}`, Subscription{Members: []Snowflake{5}}},
		{"no members", `{"guild_id":"1","members":[]}`, Subscription{Members: []Snowflake{}}},
		{"no channels", `{"guild_id":"1","channels":{}}`, Subscription{Channels: []ListRanges{}}},
		{"a range alone", `{"guild_id":"1","channels":{"7":[0,99]}}`,
			Subscription{Channels: []ListRanges{{7, []ListRange{{0, 99}}}}}},
		{"no ranges", `{"guild_id":"1","channels":{"7":null}}`,
			Subscription{Channels: []ListRanges{}}},
		{"a long range", `{"guild_id":"1","channels":{"7":[[100,5000]]}}`,
			Subscription{Channels: []ListRanges{{7, []ListRange{{100, 199}}}}}},
		{"keys of others", `{"guild_id":"1","lfg":true,"mode":3}`, Subscription{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, fault := ParseSubscription([]byte(test.d))
			if fault != nil || got.GuildID != 1 || !reflect.DeepEqual(got.Subscription, test.want) {
				t.Errorf("got %+v, %v, want %+v", got, fault, test.want)
			}
		})
	}
	all, fault := ParseSubscriptions([]byte(`{"subscriptions":{"1":null,"2":{}}}`))
	if fault != nil || len(all) != 1 || all[0].GuildID != 2 {
		t.Errorf("got %+v, %v", all, fault)
	}
}

func TestSubscriptionIsRefused(t *testing.T) {
	list := func(item string, count int) string {
		return strings.TrimSuffix(strings.Repeat(item+",", count), ",")
	}
	numbered := func(format string, count int) string {
		items := make([]string, count)
		for i := range items {
			items[i] = fmt.Sprintf(format, i+1)
		}
		return strings.Join(items, ",")
	}
	for _, d := range []string{
		`null`, `[]`, `{}`, `{"guild_id":["1","2"]}`, `{"guild_id":"1","typing":"yes"}`,
		`{"guild_id":"1","members":{}}`, `{"guild_id":"1","channels":[]}`,
		`{"guild_id":"1","channels":{"x":[]}}`, `{"guild_id":"1","channels":{"7":[[5,4]]}}`,
		`{"guild_id":"1","channels":{"7":[[-1,4]]}}`, `{"guild_id":"1","channels":{"7":[[1]]}}`,
		`{"guild_id":"1","channels":{"7":[[1,2,3]]}}`, `{"guild_id":"1","channels":{"7":true}}`,
		`{"guild_id":"1","channels":{"7":[[0,9999999999999]]}}`,
		`{"guild_id":"1","channels":{"7":[` + list(`[0,9]`, SubscriptionRangesMax+1) + `]}}`,
		`{"guild_id":"1","channels":{` + numbered(`"%d":[[0,9]]`, SubscriptionChannelsMax+1) + `}}`,
		`{"guild_id":"1","members":[` + list(`1`, SubscriptionMembersMax+1) + `]}`,
		`{"guild_id":"1","thread_member_lists":[` + list(`1`, SubscriptionThreadsMax+1) + `]}`,
	} {
		_, fault := ParseSubscription([]byte(d))
		checkRefusal(t, fault, CloseDecode)
	}
	for _, d := range []string{
		`{}`, `{"subscriptions":[]}`, `{"subscriptions":{"x":{}}}`, `{"subscriptions":{"1":[]}}`,
		`{"subscriptions":{"1":{"typing":1}}}`,
		`{"subscriptions":{` + numbered(`"%d":{}`, SubscriptionGuildsMax+1) + `}}`,
	} {
		_, fault := ParseSubscriptions([]byte(d))
		checkRefusal(t, fault, CloseDecode)
	}
}

func TestSubscriptionKeepsWhatIsOmitted(t *testing.T) {
	first, _ := ParseSubscription([]byte(`{"guild_id":"1",` + sampleSubscription + `}`))
	next, _ := ParseSubscription([]byte(`{"guild_id":"1","typing":false,"channels":{}}`))
	first.Overlay(next.Subscription)
	if *first.Typing || !*first.Threads || len(first.Members) != 2 || len(first.Channels) != 0 ||
		len(first.ThreadLists) != 1 {
		t.Errorf("got %+v", first)
	}
}

// checkSubscriptions holds what a fuzzer may make of them within their bounds.
func checkSubscriptions(t *testing.T, d []byte) {
	t.Helper()
	all, _ := ParseSubscriptions(d)
	if one, fault := ParseSubscription(d); fault == nil {
		all = append(all, one)
	}
	for _, s := range all {
		if len(s.Members) > SubscriptionMembersMax || len(s.Channels) > SubscriptionChannelsMax ||
			len(s.ThreadLists) > SubscriptionThreadsMax {
			t.Fatalf("got %+v", s)
		}
		for _, c := range s.Channels {
			for _, r := range c.Ranges {
				if r.First < 0 || r.First > r.Last || r.Last-r.First >= ListRangeWidthMax {
					t.Fatalf("got %+v", c)
				}
			}
		}
	}
}
