// The dashboard's frame: navigation, the chosen view, and what every view shares.

import { overview } from "./api.js";
import { fill, h, icon, mark, toast } from "./dom.js";
import { number, t } from "./i18n.js";
import { explained } from "./said.js";
import { obey, start } from "./start.js";
import * as approvals from "./views/approvals.js";
import * as ask from "./views/ask.js";
import * as audit from "./views/audit.js";
import * as doctor from "./views/doctor.js";
import * as folders from "./views/folders.js";
import * as home from "./views/home.js";
import * as models from "./views/models.js";
import * as policy from "./views/policy.js";
import * as recipes from "./views/recipes.js";
import * as run from "./views/run.js";
import * as runs from "./views/runs.js";
import * as schedules from "./views/schedules.js";
import * as settings from "./views/settings.js";
import * as welcome from "./views/welcome.js";

const VIEWS = { home, ask, runs, run, approvals, folders, schedules, recipes, models, policy, audit, doctor, settings, welcome };
const NAVIGATION = [
  ["home", "home"],
  ["ask", "ask"],
  ["runs", "runs"],
  ["approvals", "shield"],
  ["folders", "folder"],
  ["schedules", "clock"],
  ["recipes", "recipe"],
  ["models", "model"],
  ["policy", "rule"],
  ["audit", "audit"],
  ["doctor", "pulse"],
  ["settings", "gear"],
];

const app = document.getElementById("app");
const context = { environment: {}, overview: {}, listeners: new Set(), obey: change, take: null };
let leave = () => {};
let showing = 0;

async function begin() {
  context.environment = await start();
  frame();
  overview(
    (data) => {
      context.overview = data;
      count(data.approvals);
      for (const listener of context.listeners) listener(data);
    },
    (error) => toast(explained(error).what || t("error.daemon")),
  );
  window.addEventListener("hashchange", () => show());
  window.addEventListener("dragover", over);
  window.addEventListener("drop", drop);
  if (!location.hash && !context.environment.settings.welcomed) location.hash = "#welcome";
  else show();
}

// Files that miss the place for them are taken where there is one, else refused.
function over(event) {
  if (event.defaultPrevented) return;
  event.preventDefault();
  event.dataTransfer.dropEffect = context.take ? "copy" : "none";
}

function drop(event) {
  if (event.defaultPrevented) return;
  event.preventDefault();
  context.take?.([...event.dataTransfer.files]);
}

function change(next) {
  context.environment.settings = next;
  obey(next);
  frame();
  show();
}

function frame() {
  fill(
    app,
    h(
      "div",
      { class: "shell" },
      h(
        "header",
        { class: "side" },
        h("span", { class: "brand" }, mark(), "Hivekeep"),
        h(
          "nav",
          { "aria-label": t("nav.label") },
          h("ul", {}, NAVIGATION.map(([name, symbol]) => h("li", {}, h("a", { href: `#${name}`, data: { view: name } }, icon(symbol), t(`nav.${name}`))))),
        ),
        h("p", { class: "foot small muted" }, t("nav.promise")),
      ),
      h("main", { class: "main", id: "main", tabindex: "-1" }),
    ),
  );
  count(context.overview.approvals);
}

function count(waiting) {
  const link = app.querySelector('[data-view="approvals"]');
  link?.querySelector(".count")?.remove();
  if (link && waiting) link.append(h("span", { class: "count" }, number(waiting), h("span", { class: "hush" }, t("nav.waiting"))));
}

async function show() {
  const turn = ++showing;
  const [name, ...rest] = decodeURIComponent(location.hash.slice(1) || "home").split("/");
  const view = VIEWS[name] ?? home;
  const active = name === "run" ? "runs" : name;
  for (const link of app.querySelectorAll("[data-view]")) {
    if (link.dataset.view === active) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  leave();
  leave = () => {};
  context.take = null;
  const root = h("div", { class: "view" });
  fill(document.getElementById("main"), root);
  document.title = `${t(`nav.${active}`)} · Hivekeep`;
  try {
    const done = await view.show(root, rest, context);
    if (turn === showing) leave = done || leave;
    else if (done) done();
  } catch (error) {
    fill(root, failure(error));
  }
  if (turn === showing) document.body.dataset.view = name;
}

/** An error as every view shows it. */
export function failure(error) {
  const { what, why, next } = explained(error);
  return h(
    "div",
    { class: "note bad", role: "alert" },
    icon("alert"),
    h("div", {}, h("h1", {}, what), why && h("p", {}, why), next && h("p", {}, next)),
  );
}

begin();
