// Watched folders: add, try, pause, remove.

import { get, post, remove } from "../api.js";
import { fill, h, toast } from "../dom.js";
import { t } from "../i18n.js";
import { chooseFolder, dialog, empty, head, recipeSelect } from "../parts.js";

export async function show(root, _rest, context) {
  const list = h("div", { class: "stack" });
  const add = h("button", { type: "button", class: "primary", on: { click: () => addFolder() } }, t("folders.add"));
  fill(root, head(t("nav.folders"), t("folders.text"), add), list);

  async function draw() {
    const { watches } = await get("/v1/watches");
    fill(list, watches.length ? watches.map(card) : empty("folder", t("folders.none"), t("folders.none.text")));
  }

  const act = (work) => async () => {
    try {
      await work();
      await draw();
    } catch (error) {
      toast([error.what, error.why].filter(Boolean).join(" "));
    }
  };

  const card = (watch) => h(
    "article",
    { class: "card stack" },
    h("div", { class: "row spread" }, h("h2", {}, watch.folder), h("span", { class: `badge ${["watching", "polling"].includes(watch.state) ? "good" : "warn"}` }, watch.state)),
    h("dl", { class: "facts" },
      h("dt", {}, t("folders.recipe")), h("dd", {}, watch.recipe),
      h("dt", {}, t("folders.output")), h("dd", {}, watch.output)),
    h("div", { class: "row" },
      h("button", { type: "button", on: { click: act(async () => {
        const run = await post("/v1/runs", { recipe: watch.recipe, paths: [watch.folder], output: watch.output, title: watch.folder });
        location.hash = `#run/${run.id}`;
      }) } }, t("folders.test")),
      h("button", { type: "button", class: "danger", on: { click: act(() => remove(`/v1/watches/${watch.id}`)) } }, t("folders.remove"))),
  );

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
  await draw();
}
