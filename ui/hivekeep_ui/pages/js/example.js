// What a person has put right, offered to the recipe: as an example for the model and as a test case.

import { get, post } from "./api.js";
import { fill, h, icon, toast } from "./dom.js";
import { t } from "./i18n.js";
import { dialog, told, trouble } from "./parts.js";

const WAIT = 350;

/** The corrections of one sub-agent as offers; `titles` are the fields' headings. */
export function offers(run, agent, titles) {
  const fields = [...new Set(agent.corrections.filter((made) => made.row === null).map((made) => made.field))];
  return h("section", { class: "card stack" }, h("h2", {}, t("example.title")),
    agent.recipe && fields.length > 0 && h("div", { class: "stack" },
      h("p", { class: "small muted" }, t("example.model.text")),
      h("div", { class: "row" }, fields.map((field) => h("button", { type: "button", data: { example: field }, on: { click: () => offer(run, agent.id, field, titles[field] ?? field) } }, t("example.take", { name: titles[field] ?? field }))))),
    h("p", { class: "small muted" }, t("example.text")),
    h("pre", { class: "command", tabindex: "0", "aria-label": t("example.test") }, testCase(agent)));
}

function testCase(agent) {
  const lines = agent.corrections.filter((made) => made.row === null).map((made) => `      ${made.field}: ${JSON.stringify(made.after)}`);
  return ["test:", `  - file: ${JSON.stringify(agent.path)}`, "    expect:", ...lines].join("\n");
}

async function offer(run, agent, field, title) {
  let found;
  try {
    found = await get(`/v1/runs/${run}/agents/${encodeURIComponent(agent)}/example?field=${encodeURIComponent(field)}`);
  } catch (error) {
    toast(told(error));
    return;
  }
  dialog(t("example.take", { name: title }), (close) => form(found, field, title, close)).classList.add("broad");
}

/** The example as it would be kept; both of its parts can be changed, and what is shown is what is saved. */
function form(found, field, title, close) {
  const piece = h("textarea", { id: "piece", rows: "7", maxlength: "1500", spellcheck: "false", value: found.document, "aria-describedby": "piece-note" });
  const value = h("input", { id: "right", value: found.values[field] === null ? "" : String(found.values[field]), autocomplete: "off" });
  const shown = h("pre", { class: "command", tabindex: "0", "aria-label": t("example.lines") });
  const problem = h("div", { role: "alert" });
  const save = h("button", { type: "button", class: "primary", on: { click: keep } }, found.builtin ? t("example.copy") : t("action.save"));
  let timer = 0;

  const body = (kept) => {
    const unchanged = value.value === String(found.values[field] ?? "");
    const right = unchanged ? found.values[field] : value.value === "" ? null : value.value;
    return { document: piece.value, values: { [field]: right }, save: kept };
  };
  const send = (kept) => post(`/v1/recipes/${encodeURIComponent(found.recipe)}/examples`, body(kept));

  async function look() {
    try {
      const { lines } = await send(false);
      fill(shown, lines);
      fill(problem);
      save.disabled = false;
    } catch (error) {
      fill(problem, h("div", { class: "note bad" }, icon("alert"), trouble(error)));
      save.disabled = true;
    }
  }

  async function keep() {
    save.disabled = true;
    try {
      const kept = await send(true);
      close();
      toast(t(kept.copied ? "example.copied" : "example.kept", { name: found.title }));
    } catch (error) {
      fill(problem, h("div", { class: "note bad" }, icon("alert"), trouble(error)));
      save.disabled = false;
    }
  }

  for (const input of [piece, value]) {
    input.addEventListener("input", () => {
      save.disabled = true;
      clearTimeout(timer);
      timer = setTimeout(look, WAIT);
    });
  }
  look();
  return h("div", { class: "stack" },
    h("p", { class: "small muted" }, t("example.shown")),
    found.builtin && h("p", { class: "note" }, icon("recipe"), t("example.builtin", { name: found.title })),
    !found.printed && h("p", { class: "note warn" }, icon("alert"), t("example.unprinted")),
    h("div", { class: "field" }, h("label", { for: "piece" }, t("example.piece")), piece, h("p", { id: "piece-note", class: "small muted" }, t("example.piece.note"))),
    h("div", { class: "field" }, h("label", { for: "right" }, title), value),
    h("h3", {}, t("example.lines")), shown,
    problem,
    h("div", { class: "row actions" }, save, h("button", { type: "button", on: { click: close } }, t("action.cancel")),
      h("a", { href: `#recipes/${encodeURIComponent(found.recipe)}`, on: { click: close } }, t("example.recipe"))));
}
