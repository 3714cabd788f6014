// The inspector: sessions of a user, or one, as GET /v1/sessions tells them each second.

import { $, call, grouped, joined, make, put, show, size, span, tabs } from "./base.js";

const intents = [
  "GUILDS", "GUILD_MEMBERS", "GUILD_MODERATION", "GUILD_EXPRESSIONS", "GUILD_INTEGRATIONS",
  "GUILD_WEBHOOKS", "GUILD_INVITES", "GUILD_VOICE_STATES", "GUILD_PRESENCES", "GUILD_MESSAGES",
  "GUILD_MESSAGE_REACTIONS", "GUILD_MESSAGE_TYPING", "DIRECT_MESSAGES",
  "DIRECT_MESSAGE_REACTIONS", "DIRECT_MESSAGE_TYPING", "MESSAGE_CONTENT",
  "GUILD_SCHEDULED_EVENTS",
];
const shownMax = 50;
const cards = new Map(); // By session.
let sought = "";

export function inspect(id) {
  show(tabs[1]);
  $("find-id").value = id;
  seek();
}

function seek() {
  sought = $("find-id").value.trim();
  refresh();
}

$("find").onsubmit = (e) => {
  e.preventDefault();
  seek();
};

async function refresh() {
  const id = sought;
  if (!id) return;
  const session = /^[0-9a-f]{32}$/.test(id);
  const path = session ? `/v1/sessions/${id}` : `/v1/sessions?user_id=${encodeURIComponent(id)}`;
  try {
    const found = [await (await call("GET", path)).json()].flat();
    if (id === sought) draw(found);
  } catch (e) {
    if (id === sought) draw([], e.message);
  }
}
setInterval(() => {
  if (!$("sessions").hidden && !document.hidden) refresh();
}, 1000);

function draw(list, fault = "") {
  put($("find-said"), fault || (list.length === 1 ? "1 session" : `${list.length} sessions`));
  const shown = list.slice(0, shownMax);
  for (const [id, card] of cards) {
    if (shown.some((s) => s.id === id)) continue;
    card.at.remove();
    cards.delete(id);
  }
  for (const s of shown) {
    if (!cards.has(s.id)) cards.set(s.id, newCard(s.id));
    drawCard(cards.get(s.id), s);
  }
}

function newCard(id) {
  const facts = make("dl", { className: "facts" });
  const guilds = make("p");
  const summary = make("summary");
  const head = make("header", {}, make("h2", { textContent: id }));
  head.append(act("Reconnect", "POST", `/v1/sessions/${id}/reconnect`));
  head.append(act("Close", "DELETE", `/v1/sessions/${id}`));
  const at = make("article", { className: "session" }, head, facts);
  at.append(make("details", {}, summary, guilds));
  $("found").append(at);
  return { at, facts, summary, guilds };
}

// act is a button that asks back: it does what it says when it is pressed once more.
function act(text, method, path) {
  const button = make("button", { type: "button", textContent: text, className: "act" });
  const rest = () => {
    button.classList.remove("sure");
    put(button, text);
  };
  button.onblur = rest;
  button.onclick = async () => {
    if (!button.classList.contains("sure")) {
      button.classList.add("sure");
      put(button, `${text}: sure?`);
      return;
    }
    rest();
    try {
      await call(method, path);
      refresh();
    } catch (e) {
      put($("find-said"), e.message);
    }
  };
  return button;
}

function drawCard({ facts, summary, guilds }, s) {
  const late = s.lag > 0 ? "warn" : "";
  const packed = s.compression && s.compression !== "none" ? `, ${s.compression}` : "";
  const lines = [
    ["user", s.user_id],
    ["state", s.state, s.state === "live" ? "" : "warn"],
    ["sent", `#${grouped(s.seq_sent)}`],
    ["acknowledged", `#${grouped(s.seq_acknowledged)}`],
    ["lag", `${grouped(s.lag)} frames`, late],
    ["lag in the journal", joined(size(s.lag_bytes)), late],
    ["sent in all", joined(size(s.bytes))],
    ["age", span(s.age_seconds)],
    ["loop", String(s.loop)],
    ["remote", s.remote ?? "–"],
    ["encoding", s.encoding + packed],
    ["shard", s.shard.join(" of ")],
    ["intents", String(s.intents), "", intents.filter((_, i) => s.intents & (1 << i)).join(", ")],
  ];
  for (const [i, [name, value, mark = "", title = value]] of lines.entries()) {
    if (!facts.children[i]) {
      facts.append(make("div", {}, make("dt", { textContent: name }), make("dd")));
    }
    const dd = facts.children[i].lastChild;
    put(dd, value);
    dd.className = mark;
    dd.title = title;
  }
  put(summary, s.guilds.length === 1 ? "1 guild" : `${s.guilds.length} guilds`);
  put(guilds, s.guilds.join(" "));
}
