// The stream of snapshots and the overview that shows them. It begins at the end, with follow.

import { $, call, count, grouped, joined, make, put } from "./base.js";
import { rate, share, size, span, table, time } from "./base.js";
import { inspect } from "./sessions.js";
import { offer } from "./try.js";

// The stream, while somebody looks at the page.

let stream = null;

async function follow() {
  for (let pause = 500; !document.hidden; pause = Math.min(pause * 2, 8000)) {
    stream = new AbortController();
    try {
      const answer = await call("GET", "/v1/live", { signal: stream.signal });
      for await (const event of events(answer.body)) {
        hear(event);
        pause = 500;
      }
      health("bad", "the node has ended the stream");
    } catch (e) {
      if (stream.signal.aborted) break;
      health("bad", e instanceof TypeError ? "the node does not answer" : e.message);
    }
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
  stream = null;
  if (!document.hidden) follow(); // It was looked at again meanwhile.
}

// events are the parts of a stream that end in an empty line.
async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (let r; !(r = await reader.read()).done; ) {
    text += r.value;
    for (let end; (end = text.indexOf("\n\n")) >= 0; text = text.slice(end + 2)) {
      yield text.slice(0, end);
    }
  }
}

function hear(event) {
  const [, name, data] = /^event: (\w+)\ndata: (.*)$/s.exec(event) ?? [];
  if (name === "about") meet(JSON.parse(data));
  if (name === "snapshot") draw(JSON.parse(data));
}

function health(kind, text) {
  $("dot").className = `dot ${kind}`;
  put($("state"), text);
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden) stream?.abort();
  else if (!stream) follow();
});

// What is known from the start.

let about = {};

function meet(a) {
  about = a;
  document.title = `${a.node} · throng`;
  put($("node"), a.node);
  put($("version"), a.version);
  put($("gateway"), a.gateway);
  offer(a);
}

// Tiles: a figure, a line below it, and how it has been.

const kept = 120; // Snapshots: two minutes.
const timed = ({ latency: l }) =>
  l ? `of ${joined(count(l.count))} in ${about.latency_window_seconds} s` : "nothing published";
const tiles = [
  tile("connections", "Connections", count, (s) => s.connections, () =>
    `of ${joined(count(about.connections_max ?? 0))} at most`),
  tile("sessions", "Sessions", count, (s) => s.live, (s) =>
    `${joined(count(s.detached))} without a socket`),
  tile("events", "Events a second", rate, (s) => s.events, (s) =>
    `${joined(count(s.guilds))} ${s.guilds === 1 ? "guild" : "guilds"}`),
  tile("deliveries", "Deliveries a second", rate, (s) => s.deliveries, (s) =>
    `${joined(count(s.members))} members`),
  tile("bytes", "Sent a second", size, (s) => s.bytes, (s) =>
    `${joined(size(s.queued_bytes))} wait in kernel`),
  tile("batching", "Deliveries a write", (n) => [n.toFixed(2), ""], (s) => s.batching, (s) =>
    `${joined(rate(s.writes ?? 0))} writes/s`),
  tile("p50", "Publish to socket, p50", time, (s) => s.latency?.p50, timed),
  tile("p99", "Publish to socket, p99", time, (s) => s.latency?.p99, timed),
];

function tile(id, name, format, value, note) {
  const figure = make("span", { textContent: "–" });
  const unit = make("span", { className: "unit" });
  const small = make("dd", { className: "note" });
  const [svg, area, line] = ["svg", "path", "path"].map((n) =>
    document.createElementNS("http://www.w3.org/2000/svg", n));
  svg.setAttribute("viewBox", `0 0 ${kept - 1} 30`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  area.setAttribute("class", "area");
  line.setAttribute("class", "line");
  svg.append(area, line);
  const big = make("dd", { className: "value" }, figure, " ", unit);
  const title = make("dt", { textContent: name });
  const all = make("div", { className: "tile", id: `tile-${id}` }, title, big, small);
  all.append(make("dd", { className: "past" }, svg));
  $("tiles").append(all);
  return { value, format, note, figure, unit, small, area, line, past: [] };
}

function drawTile(t, s) {
  const now = t.value(s) ?? null;
  const [value, unit] = now === null ? ["–", ""] : t.format(now);
  put(t.figure, value);
  put(t.unit, unit);
  put(t.small, t.note(s));
  t.past.push(now);
  if (t.past.length > kept) t.past.shift();
  const top = Math.max(...t.past, 0) || 1;
  const from = kept - t.past.length;
  const points = [];
  for (const [i, v] of t.past.entries()) {
    if (v !== null) points.push(`${from + i} ${(28 - (24 * v) / top).toFixed(1)}`);
  }
  if (points.length < 2) return;
  const path = `M${points.join("L")}`;
  t.line.setAttribute("d", path);
  const [first, last] = [points[0], points.at(-1)].map((p) => p.split(" ")[0]);
  t.area.setAttribute("d", `${path}L${last} 30L${first} 30Z`);
}

// Tables.

const fullness = (x) => (x > 0.9 ? "bad" : x > 0.7 ? "warn" : "");
const quiet = (text) => ({ text, mark: "quiet" });
const counted = (c) => [
  c.name,
  joined(count(c.total)),
  c.rate > 0 ? joined(rate(c.rate)) : quiet("–"),
];

function draw(s) {
  const kind = { ready: "good", starting: "warn", draining: "warn" }[s.state];
  if (s.panics > 0) health("warn", `${s.state}, ${s.panics} panics`);
  else health(kind, s.state);
  put($("uptime"), span(s.uptime));
  for (const t of tiles) drawTile(t, s);
  table("owners", s.owners.map(ownerRow));
  table("kinds", (s.kinds ?? []).map(kindRow), "nothing");
  drawMemory(s.memory, s.gc, s.stalls);
  table("largest", (s.largest ?? []).map((g) => guildRow(g, grouped(g.sessions))));
  const events = ({ events: n }) =>
    n < 0.05 ? "0" : n < 9.95 ? n.toFixed(1) : joined(count(n));
  table("busiest", (s.busiest ?? []).map((g) => guildRow(g, events(g))));
  put($("blocked"), s.blocked > 0 ? joined(count(s.blocked)) : "");
  table("slow", (s.slow ?? []).map(readerRow));
  for (const name of ["types", "closes", "drops"]) table(name, s[name].slice(0, 8).map(counted));
  drawCluster(s.cluster);
}

function ownerRow(o) {
  const mark = fullness(o.busy ?? 0);
  const busy = o.busy === null ? "–" : share(o.busy);
  return [
    o.name,
    { bar: o.busy ?? 0, mark },
    { text: o.age > 0.5 ? `${o.age.toFixed(1)} s ago` : busy, mark },
    { text: grouped(o.depth), title: `of ${grouped(o.limit)}`, mark: fullness(o.depth / o.limit) },
    { text: o.oldest > 0 ? joined(time(o.oldest)) : "–", mark: o.oldest > 0.25 ? "warn" : "" },
    o.doing ? o.doing : quiet("at rest"),
  ];
}

function kindRow(k) {
  return [k.name, { bar: k.share }, share(k.share), joined(rate(k.rate))];
}

function guildRow(g, first) {
  const name = { text: g.name || g.id, title: `guild ${g.id}` };
  return [name, first, grouped(g.active), grouped(g.passive), grouped(g.members)];
}

function readerRow(r) {
  const press = () => inspect(r.session);
  const mark = r.seconds > 10 ? "bad" : "warn";
  return [
    { text: r.user, title: `session ${r.session}`, press },
    { text: grouped(r.frames), mark },
    { text: joined(time(r.seconds)), mark },
  ];
}

function drawMemory(m, gc, stalls) {
  put($("pressure"), m.pressure === "none" ? "no pressure" : `gives up: ${m.pressure}`);
  const marks = { none: "", new: "warn", trim: "warn", close: "bad" };
  $("pressure").className = `pill ${marks[m.pressure]}`;
  const part = (n, all) => (all > 0 ? { bar: n / all, mark: fullness(n / all) } : "");
  const limit = gc.limit > 0 ? joined(size(gc.limit)) : "no limit";
  table("memory", [
    ["needed", part(m.needed, m.budget), joined(size(Math.max(m.needed, 0)))],
    ["held", part(m.held, m.budget), joined(size(m.held))],
    ["budget", "", m.budget > 0 ? joined(size(m.budget)) : "not known"],
    ["Go's limit", part(gc.total, gc.limit), limit],
  ]);
  table("gc", [
    ["CPU", { bar: gc.cpu, mark: fullness(gc.cpu * 4) }, share(gc.cpu)],
    ["longest pause", "", { text: joined(time(gc.pause)), title: "in the last ten seconds" }],
    ["heap, of its goal", gc.goal > 0 ? { bar: gc.heap / gc.goal } : "", joined(size(gc.heap))],
    ["alive at the last", "", joined(size(gc.marked))],
    ["collections", "", grouped(gc.cycles)],
    ["stalls", "", { text: grouped(stalls), title: "/v1/stalls", mark: stalls > 0 ? "warn" : "" }],
  ]);
}

function drawCluster(c) {
  $("cluster").hidden = !c;
  if (!c) return;
  put($("generation"), `${c.name ? `${c.name}, ` : ""}generation ${c.generation}`);
  table("nodes", c.nodes.map((n) => nodeRow(n, c.self)));
}

function nodeRow(n, self) {
  const sum = (...names) =>
    n.counts ? grouped(names.reduce((all, name) => all + (n.counts[name] ?? 0), 0)) : "–";
  let state = n.draining ? { text: "draining", mark: "warn" } : "serves";
  if (n.error) state = { text: "does not answer", title: n.error, mark: "bad" };
  return [
    { text: n.node === self ? `${n.node}, this one` : n.node, title: n.gateway ?? "" },
    state,
    sum("connections"),
    sum("sessions_live", "sessions_detached"),
    sum("guilds"),
    grouped(n.weight),
  ];
}

follow();
