// What all views are made with: elements, figures, colours, tabs, and requests of the node. Text
// goes into the page as text, never as markup.

export const $ = (id) => document.getElementById(id);

// Elements.

export function make(name, properties = {}, ...children) {
  const e = Object.assign(document.createElement(name), properties);
  e.append(...children);
  return e;
}

export function put(e, text) {
  if (e.textContent !== text) e.textContent = text;
}

// table shows rows, each a list of cells: a text, or {text, title, mark, bar, press}. Cells stay
// where they are from one snapshot to the next, so that focus and a selection do too.
export function table(id, rows, empty = "none") {
  const body = $(id).tBodies[0];
  const heads = [...$(id).tHead.rows[0].cells];
  const count = Math.max(rows.length, Number(body.dataset.least));
  while (body.rows.length > count) body.lastElementChild.remove();
  while (body.rows.length < count) {
    const row = body.insertRow();
    for (const head of heads) row.insertCell().className = head.className;
  }
  for (let i = 0; i < count; i++) {
    body.rows[i].className = i < Math.max(rows.length, 1) ? "" : "blank";
    const cells = rows[i] ?? (i === 0 ? [{ text: empty, mark: "quiet" }] : []);
    heads.forEach((head, n) => fill(body.rows[i].cells[n], head.className, cells[n] ?? ""));
  }
}

function fill(cell, kind, value) {
  const given = typeof value === "object" ? value : { text: value };
  const { text = "", title = "", mark = "", bar, press } = given;
  const name = mark ? `${kind} ${mark}`.trim() : kind;
  if (cell.className !== name) cell.className = name;
  if (cell.title !== title) cell.title = title;
  if (bar !== undefined) {
    if (!cell.querySelector(".bar")) {
      cell.replaceChildren(make("span", { className: "bar" }, make("i")));
    }
    cell.firstChild.className = `bar ${mark}`;
    cell.firstChild.firstChild.style.transform = `scaleX(${Math.min(Math.max(bar, 0), 1)})`;
  } else if (press) {
    if (!cell.querySelector("button")) {
      cell.replaceChildren(make("button", { className: "link", type: "button" }));
    }
    put(cell.firstChild, text);
    cell.firstChild.onclick = press;
  } else if (cell.firstElementChild || cell.textContent !== text) {
    cell.textContent = text;
  }
}

// Figures. Each is a value and its unit.

function scaled(value, base, units) {
  let at = 0;
  while (Math.abs(value) >= base * 0.9995 && at < units.length - 1) {
    value /= base;
    at++;
  }
  const plain = (at === 0 && Number.isInteger(value)) || value >= 99.95;
  return [value.toFixed(plain ? 0 : value >= 9.995 ? 1 : 2), units[at]];
}

const whole = new Intl.NumberFormat("en");

export const grouped = (n) => whole.format(Math.round(n));
export const count = (n) => (n < 1e5 ? [grouped(n), ""] : scaled(n, 1000, ["", "k", "M", "G"]));
export const rate = (n) => (n < 10 && !Number.isInteger(n) ? [n.toFixed(1), ""] : count(n));
export const size = (n) => scaled(Math.round(n), 1024, ["B", "KiB", "MiB", "GiB", "TiB"]);
export const share = (x) => `${(x * 100).toFixed(x < 0.0995 ? 1 : 0)} %`;
export const joined = ([value, unit]) => (unit ? `${value} ${unit}` : value);

export function time(s) {
  if (s === 0) return ["0", "s"];
  return s < 1 ? scaled(s * 1e6, 1000, ["µs", "ms"]) : [s.toFixed(s < 10 ? 2 : 1), "s"];
}

export function span(seconds) {
  const s = Math.floor(seconds);
  const two = (n) => String(n).padStart(2, "0");
  const [days, hours] = [Math.floor(s / 86400), Math.floor(s / 3600) % 24];
  const minutes = Math.floor(s / 60) % 60;
  if (days > 0) return `${days} d ${two(hours)} h`;
  return hours > 0 ? `${hours} h ${two(minutes)} m` : `${minutes} m ${two(s % 60)} s`;
}

// Colours.

const themes = { "": "as the system has them", light: "light", dark: "dark" };
const signs = { "": "◐", light: "○", dark: "●" };

function paint(theme) {
  document.documentElement.dataset.theme = theme;
  $("theme").textContent = signs[theme];
  $("theme").title = `Colours: ${themes[theme]}`;
  $("theme").setAttribute("aria-label", $("theme").title);
}
const theme = localStorage.getItem("theme");
paint(theme in themes ? theme : "");
$("theme").onclick = () => {
  const all = Object.keys(themes);
  const next = all[(all.indexOf(document.documentElement.dataset.theme) + 1) % all.length];
  localStorage.setItem("theme", next);
  paint(next);
};

// Views. Arrows, Home and End go from tab to tab, and the address says which one is shown.

export const tabs = [...document.querySelectorAll('[role="tab"]')];

const viewOf = (tab) => tab.getAttribute("aria-controls");

export function show(tab) {
  for (const t of tabs) {
    t.setAttribute("aria-selected", t === tab);
    t.tabIndex = t === tab ? 0 : -1;
    $(viewOf(t)).hidden = t !== tab;
  }
  history.replaceState(null, "", `#${viewOf(tab)}`);
}

for (const [i, tab] of tabs.entries()) {
  tab.onclick = () => show(tab);
  tab.onkeydown = (e) => {
    const last = tabs.length - 1;
    const to = { ArrowRight: i + 1, ArrowLeft: i + last, Home: 0, End: last }[e.key];
    if (to === undefined) return;
    e.preventDefault();
    const next = tabs[to % tabs.length];
    show(next);
    next.focus();
  };
}
show(tabs.find((t) => `#${viewOf(t)}` === location.hash) ?? tabs[0]);

// The node. What needs a token waits until there is one.

const own = "This node was started with -admin-token.";
const wrong = "This is not the token that the node was started with.";
let token = sessionStorage.getItem("admin-token") ?? "";
let asking = null;

function ask(why) {
  asking ??= new Promise((resolve) => {
    put($("ask-why"), why);
    $("ask").showModal();
    $("ask").querySelector("form").onsubmit = (e) => {
      e.preventDefault();
      token = $("ask-token").value.trim();
      sessionStorage.setItem("admin-token", token);
      $("ask").close();
      asking = null;
      resolve();
    };
  });
  return asking;
}
$("ask").addEventListener("cancel", (e) => e.preventDefault());

export async function call(method, path, options = {}) {
  for (;;) {
    const shown = token;
    const headers = shown ? { Authorization: `Bearer ${shown}` } : {};
    const answer = await fetch(path, { method, headers, cache: "no-store", ...options });
    if (answer.ok) return answer;
    if (answer.status !== 401) {
      const said = await answer.json().catch(() => ({}));
      throw new Error(said.error ?? `${method} ${path} was answered with ${answer.status}`);
    }
    if (shown === token) await ask(shown ? wrong : own);
  }
}
