// Two clients of the gateway: what it sends is shown as it came, and each can say something that
// the other hears.

import { $, call, joined, make, put, size } from "./base.js";

const linesMax = 200; // Of each pane.
const noncesMax = 200;
const foldedMin = 1200; // Of characters: a GUILD_CREATE is folded, a message is not.
const opNames = [
  "dispatch", "heartbeat", "identify", "presence", "voice state", "", "resume", "reconnect",
  "members", "invalid session", "hello", "heartbeat ack",
];
const epoch = 1420070400000; // That of snowflakes.
const published = new Map(); // When a message was, by its nonce.
let gateway = "";

// Pane is one client.
class Pane {
  constructor(number) {
    this.number = number;
    this.at = $("pane").content.cloneNode(true).firstElementChild;
    this.socket = null;
    this.beat = 0;
    this.seq = null;
    this.session = ""; // That can be resumed.
    this.user = null;
    this.keeps = false; // The session, when the socket closes.
    this.taken = false; // The connection, by the gateway.
    this.at.setAttribute("aria-label", `Client ${number + 1}`);
    this.part(".log").setAttribute("aria-label", `What client ${number + 1} sends and is sent`);
    this.part(".login").onsubmit = (e) => {
      e.preventDefault();
      if (this.socket) this.socket.close(1000);
      else this.connect();
    };
    this.part(".drop").onclick = () => {
      this.keeps = true;
      this.socket.close(4000);
    };
    this.part(".raw").onsubmit = (e) => {
      e.preventDefault();
      this.send(this.part("textarea").value);
    };
    this.part(".say").onsubmit = (e) => {
      e.preventDefault();
      this.say();
    };
    $("panes").append(this.at);
  }

  part(name) {
    return this.at.querySelector(name);
  }

  // offer shows the users of a demo.
  offer(users) {
    const pick = (u) => (this.part(".token").value = u.token);
    const button = (u) =>
      make("button", {
        type: "button", textContent: u.name, title: `The demo's token of ${u.name}`,
        onclick: () => pick(u),
      });
    this.part(".users").replaceChildren(...users.map(button));
    const empty = this.part(".token").value === "";
    if (users.length > 0 && empty) pick(users[(this.number + 1) % users.length]);
  }

  // note writes a line, and keeps the end in sight if it was.
  note(kind, head, body = "", took = "") {
    const log = this.part(".log");
    const low = log.scrollTop + log.clientHeight > log.scrollHeight - 30;
    const first = [make("b", { textContent: head })];
    if (took) first.push(" ", make("span", { className: "took", textContent: took }));
    const line = make("li", { className: kind });
    if (body.length > foldedMin) {
      const long = make("span", { textContent: ` ${joined(size(body.length))}` });
      line.append(make("details", {}, make("summary", {}, ...first, long), body));
    } else {
      line.append(...first, body ? ` ${body}` : "");
    }
    log.append(line);
    while (log.children.length > linesMax) log.firstElementChild.remove();
    if (low) log.scrollTop = log.scrollHeight;
  }

  says(text) {
    put(this.part(".said"), text);
    this.part(".said").title = text;
  }

  able(open) {
    put(this.part(".connect"), open ? "Disconnect" : this.session ? "Resume" : "Connect");
    for (const name of [".drop", ".raw button", ".content", ".channel", ".say button"]) {
      this.part(name).disabled = !open;
    }
  }

  connect() {
    if (!this.session) this.part(".channel").replaceChildren();
    this.says("connecting");
    try {
      this.socket = new WebSocket(`${gateway}/?v=10&encoding=json`);
    } catch (e) {
      this.says(e.message);
      return;
    }
    this.taken = false;
    this.socket.onopen = () => {
      this.taken = true;
      this.able(true);
    };
    this.socket.onmessage = (e) => this.hear(e.data);
    this.socket.onclose = (e) => this.closed(e);
  }

  closed(e) {
    clearInterval(this.beat);
    this.socket = null;
    if (!this.taken) {
      // The browser does not tell a page why.
      this.says(`${gateway} takes no connection: it is full, or -origin lacks ${location.origin}`);
      return;
    }
    if (!this.keeps) this.session = "";
    this.keeps = false;
    const why = `${e.code}${e.reason ? `, ${e.reason}` : ""}`;
    this.says(`closed ${why}${this.session ? "; the session can be resumed" : ""}`);
    this.note("gone", "closed", why);
    this.able(false);
  }

  send(payload) {
    const text = typeof payload === "string" ? payload : JSON.stringify(payload);
    this.socket.send(text);
    this.note("out", "→", text);
  }

  // hear shows a payload and does what a client has to.
  hear(text) {
    const p = JSON.parse(text);
    this.seq = p.s ?? this.seq;
    const at = p.t === "MESSAGE_CREATE" ? published.get(p.d.nonce) : undefined;
    const took = at === undefined ? "" : `${(performance.now() - at).toFixed(1)} ms after Send`;
    this.note("in", `← ${p.t ?? opNames[p.op] ?? `op ${p.op}`}`, text, took);
    if (p.op === 10) this.greet(p.d.heartbeat_interval);
    if (p.op === 7) this.part(".drop").click();
    if (p.op === 9 && !p.d) this.session = "";
    if (p.t === "READY") [this.session, this.user] = [p.d.session_id, p.d.user];
    if (p.t === "READY" || p.t === "RESUMED") {
      this.says(`${this.user.username}, session ${this.session}`);
    }
    if (p.t === "GUILD_CREATE") this.list(p.d);
  }

  greet(interval) {
    clearInterval(this.beat);
    this.beat = setInterval(() => this.send({ op: 1, d: this.seq }), interval);
    const token = this.part(".token").value.trim();
    if (this.session) {
      this.send({ op: 6, d: { token, session_id: this.session, seq: this.seq } });
      return;
    }
    const properties = { os: "browser", browser: "throng console", device: "throng console" };
    const intents = Number(this.part(".intents").value);
    this.send({ op: 2, d: { token, intents, properties } });
  }

  // list offers a guild's text channels.
  list(guild) {
    const select = this.part(".channel");
    for (const c of guild.channels ?? []) {
      if (c.type !== 0 || [...select.options].some((o) => o.value === c.id)) continue;
      const option = make("option", { value: c.id, textContent: `#${c.name} in ${guild.name}` });
      option.dataset.guild = guild.id;
      select.append(option);
    }
  }

  // say publishes a message as a backend does that has checked what its user may do.
  async say() {
    const [content, channel] = [this.part(".content"), this.part(".channel")];
    if (!content.value || !channel.value) return;
    const nonce = crypto.getRandomValues(new Uint32Array(1))[0].toString();
    const d = {
      id: String((BigInt(Date.now() - epoch) << 22n) + (BigInt(nonce) & 0xfffn)),
      channel_id: channel.value, guild_id: channel.selectedOptions[0].dataset.guild,
      author: this.user, content: content.value, nonce, type: 0, tts: false, pinned: false,
      timestamp: new Date().toISOString(), edited_timestamp: null, mention_everyone: false,
      mentions: [], mention_roles: [], attachments: [], embeds: [],
    };
    published.set(nonce, performance.now());
    if (published.size > noncesMax) published.delete(published.keys().next().value);
    content.value = "";
    try {
      const body = JSON.stringify({ t: "MESSAGE_CREATE", d });
      await call("POST", `/v1/guilds/${d.guild_id}/events`, { body });
    } catch (e) {
      this.note("gone", "not published", e.message);
    }
  }
}

const panes = [new Pane(0), new Pane(1)];

export function offer(about) {
  gateway = about.gateway;
  for (const pane of panes) pane.offer(about.demo?.users ?? []);
}
