// The popup: what waits for an answer, one after the other, similar ones together.

import { answers, details, keys } from "./approval.js";
import { get, overview, post } from "./api.js";
import { fill, h, icon, mark, say } from "./dom.js";
import { number, t } from "./i18n.js";
import { explained, summary } from "./said.js";
import { start } from "./start.js";

const app = document.getElementById("app");
const state = { items: [], chosen: "", together: false, problem: "" };
let onKey = () => {};
let leaving = 0;

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") post("/ui/close").catch(() => {});
  else if (event.altKey && (event.key === "ArrowRight" || event.key === "ArrowLeft")) step(event);
  else onKey(event);
});

async function begin() {
  await start();
  document.title = `${t("popup.title")} · Hivekeep`;
  state.chosen = decodeURIComponent(location.hash.slice(1));
  window.addEventListener("hashchange", () => {
    // Without a name it was opened by itself: what a person is reading stays where it is.
    state.chosen = decodeURIComponent(location.hash.slice(1)) || state.chosen;
    if (current()) draw();
  });
  for (const kind of ["dragover", "drop"]) window.addEventListener(kind, (event) => event.preventDefault());
  overview(refresh, (error) => problem(explained(error).what));
}

async function refresh() {
  const { approvals } = await get("/v1/approvals");
  const before = state.items.map((item) => item.id + item.digest).join();
  state.items = approvals;
  if (before !== approvals.map((item) => item.id + item.digest).join() || !app.firstChild) draw();
}

function current() {
  return state.items.find((item) => item.id === state.chosen) ?? state.items[0];
}

function draw() {
  clearTimeout(leaving);
  const item = current();
  if (!item) return nothing();
  state.chosen ||= item.id;
  const alike = state.items.filter((other) => other.group === item.group);
  const together = state.together && alike.length > 1;
  const asked = together ? alike : [item];
  const above = [
    state.problem && h("p", { class: "note bad", role: "alert" }, icon("alert"), state.problem),
    state.items.length > 1 && queue(item),
    alike.length > 1 && h("label", { class: "check" },
      h("input", { type: "checkbox", checked: together, on: { change: (event) => {
        state.together = event.target.checked;
        draw();
      } } }),
      t("popup.together", { count: number(alike.length) }),
    ),
    together ? list(alike) : null,
  ];
  const key = asked.map((one) => one.id + one.digest).join();
  if (app.dataset.drawn === key) {
    // The same question, read halfway perhaps: only what is around it changes.
    fill(app.querySelector("header"), brand(), waiting());
    fill(app.querySelector(".above"), above);
    say(t("popup.waiting", { count: number(state.items.length) }));
    return;
  }
  app.dataset.drawn = key;
  const buttons = answers(asked, { via: "popup", done, failed });
  onKey = keys(buttons.give, (answer) => buttons.root.querySelector(`[data-answer=${answer}]`));
  fill(
    app,
    h("header", {}, brand(), waiting()),
    h("main", {}, h("div", { class: "above" }, above), details(item)),
    h("footer", {}, buttons.root),
  );
  document.getElementById("what")?.focus({ preventScroll: true });
  say(t("popup.said", { what: summary(item), risk: t(`risk.${item.decision.risk}`) }));
  document.body.dataset.shown = item.id;
  // The moment at which a person can see it, for measuring.
  requestAnimationFrame(() => setTimeout(() => post("/ui/shown", { id: item.id }).catch(() => {}), 0));
}

const brand = () => h("span", { class: "brand" }, mark(), "Hivekeep");
const waiting = () => h("span", { class: "badge warn" }, t("popup.waiting", { count: number(state.items.length) }));

function queue(item) {
  return h(
    "nav",
    { class: "queue", "aria-label": t("popup.queue") },
    state.items.slice(0, 40).map((other) =>
      h("button", {
        type: "button",
        "aria-current": other.id === item.id ? "true" : undefined,
        on: { click: () => choose(other.id) },
      }, h("span", {}, summary(other))),
    ),
  );
}

function list(items) {
  return h("ol", { class: "card stack small" }, items.map((item) => h("li", {}, summary(item))));
}

function choose(id) {
  state.chosen = id;
  state.together = false;
  draw();
}

function step(event) {
  const index = state.items.findIndex((item) => item.id === current()?.id);
  const next = state.items[index + (event.key === "ArrowRight" ? 1 : -1)];
  if (next) choose(next.id);
}

function done(answer, items) {
  const gone = new Set(items.map((item) => item.id));
  state.items = state.items.filter((item) => !gone.has(item.id));
  state.together = false;
  state.chosen = "";
  say(t(`said.${answer}`));
  draw();
}

function failed(error) {
  const { what, why } = explained(error);
  problem([what, why].filter(Boolean).join(" "));
}

function problem(text) {
  state.problem = text;
  draw();
  state.problem = "";
}

function nothing() {
  onKey = () => {};
  delete document.body.dataset.shown;
  delete app.dataset.drawn;
  fill(
    app,
    h("header", {}, brand()),
    h(
      "main",
      {},
      state.problem && h("p", { class: "note bad", role: "alert" }, icon("alert"), state.problem),
      h("div", { class: "empty" }, icon("check"), h("h1", {}, t("popup.none")), h("p", {}, t("popup.none.text"))),
    ),
    h("footer", {}, h("button", { type: "button", on: { click: () => post("/ui/close").catch(() => {}) } }, t("action.close"))),
  );
  if (!state.problem) leaving = setTimeout(() => post("/ui/close").catch(() => {}), 2500);
}

begin();
