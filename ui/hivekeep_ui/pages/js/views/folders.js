// Watched folders: add, look what would be picked up, pause, process all, remove.

import { get, post, remove } from "../api.js";
import { fill, h, icon, toast } from "../dom.js";
import { bytes, number, t } from "../i18n.js";
import { acting, chooseFolder, dialog, empty, head, recipeSelect, trouble } from "../parts.js";

const STATES = new Set(["watching", "polling", "paused", "starting", "stopped", "folder is missing", "folder cannot be opened"]);
const KINDS = { watching: "good", polling: "good", paused: "info" };
const FATES = { new: "good", changing: "info", under_way: "info", failed: "warn", unreadable: "warn", denied: "bad" };

export async function show(root, _rest, context) {
  const list = h("div", { class: "stack" });
  const add = h("button", { type: "button", class: "primary", on: { click: () => addFolder() } }, t("folders.add"));
  fill(root, head(t("nav.folders"), t("folders.text"), add), list);
  let drawn = "";

  async function draw() {
    const { watches } = await get("/v1/watches");
    const key = JSON.stringify(watches);
    if (key === drawn) return;
    drawn = key;
    fill(list, watches.length ? watches.map(card) : empty("folder", t("folders.none"), t("folders.none.text")));
  }

  const act = acting(draw);

  const card = (watch) => h(
    "article",
    { class: "card stack", data: { watch: watch.id } },
    h("div", { class: "row spread" }, h("h2", {}, watch.folder),
      h("span", { class: `badge ${KINDS[watch.state] ?? "warn"}` }, watch.state === "paused" ? icon("pause") : null, STATES.has(watch.state) ? t(`watch.${watch.state}`) : watch.state)),
    h("dl", { class: "facts" },
      h("dt", {}, t("folders.recipe")), h("dd", {}, watch.recipe),
      h("dt", {}, t("folders.output")), h("dd", {}, watch.output)),
    watch.paused && h("p", { class: "small muted" }, t("folders.paused.text")),
    h("div", { class: "row" },
      h("button", { type: "button", on: { click: () => lookAhead(watch) } }, t("folders.look")),
      h("button", { type: "button", on: { click: act(() => turn(watch)) } }, icon(watch.paused ? "play" : "pause"), t(watch.paused ? "folders.resume" : "folders.pause")),
      h("button", { type: "button", on: { click: act(async () => {
        const run = await post("/v1/runs", { recipe: watch.recipe, paths: [watch.folder], output: watch.output, title: watch.folder });
        location.hash = `#run/${run.id}`;
      }) } }, t("folders.test")),
      h("button", { type: "button", class: "danger", on: { click: act(() => remove(`/v1/watches/${watch.id}`)) } }, t("folders.remove"))),
  );

  async function turn(watch) {
    await post(`/v1/watches/${watch.id}/${watch.paused ? "resume" : "pause"}`);
    toast(t(watch.paused ? "folders.resumed" : "folders.paused", { folder: watch.folder }));
  }

  function lookAhead(watch) {
    const place = h("div", { class: "stack", role: "status", "aria-busy": "true" }, h("p", { class: "muted" }, t("folders.looking")));
    dialog(t("folders.look"), (close) => h("div", { class: "stack" }, h("p", { class: "small muted" }, watch.folder), place,
      h("div", { class: "row" }, h("button", { type: "button", on: { click: close } }, t("action.close"))))).classList.add("broad");
    get(`/v1/watches/${watch.id}/outlook`)
      .then((found) => fill(place, outlook(found)))
      .catch((error) => fill(place, h("div", { class: "note bad" }, icon("alert"), trouble(error))))
      .finally(() => place.removeAttribute("aria-busy"));
  }

  async function addFolder() {
    const recipes = await recipeSelect(context.environment.settings.recipe);
    dialog(t("folders.add"), (close) => {
      const folder = h("input", { id: "folder", required: true, placeholder: `${context.environment.home}/Inbox` });
      return h("form", { class: "stack", on: { submit: async (event) => {
        event.preventDefault();
        await act(async () => {
          await post("/v1/watches", { folder: folder.value, recipe: recipes.value });
          close();
        })();
      } } },
        h("div", { class: "field" }, h("label", { for: "folder" }, t("folders.folder")), folder),
        context.environment.window && h("button", { type: "button", on: { click: async () => (folder.value = await chooseFolder(context)) } }, t("folders.choose")),
        h("div", { class: "field" }, h("label", { for: "recipe" }, t("folders.recipe")), recipes),
        h("div", { class: "row" }, h("button", { class: "primary" }, t("folders.add")), h("button", { type: "button", on: { click: close } }, t("action.cancel"))));
    });
  }
  const follow = () => draw().catch(() => {});
  context.listeners.add(follow);
  await draw();
  return () => context.listeners.delete(follow);
}

/** What a folder would give now, file by file. */
function outlook(found) {
  const name = (path) => path.split("/").pop();
  return [
    h("p", {}, h("strong", {}, t("folders.new", { count: number(found.new) }))),
    found.paused && h("p", { class: "note" }, icon("pause"), t("folders.paused.text")),
    found.closed_folders.length > 0 && h("p", { class: "note warn" }, icon("alert"), t("folders.closed", { count: number(found.closed_folders.length) })),
    found.files.length > 0 && h("div", { class: "scroll tall", tabindex: "0", role: "region", "aria-label": t("folders.look") }, h("table", { class: "fold" },
      h("thead", {}, h("tr", {}, ["file", "size", "fate"].map((word) => h("th", { scope: "col" }, t(`folders.${word}`))))),
      h("tbody", {}, found.files.map((file) => h("tr", {},
        h("td", { title: file.path }, name(file.path)),
        h("td", {}, bytes(file.size)),
        h("td", {}, h("span", { class: `badge ${FATES[file.fate] ?? ""}` }, t(`fate.${file.fate}`)), file.reason && h("div", { class: "small muted" }, file.reason))))))),
    found.left_out > 0 && h("p", { class: "small muted" }, t("folders.left_out", { count: number(found.left_out) })),
  ];
}
