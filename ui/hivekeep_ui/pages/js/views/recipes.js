// Recipes: the list, and an editor that checks while one writes and tries a recipe on one file.

import { call, get, post, put } from "../api.js";
import { fill, h, icon, toast } from "../dom.js";
import { t } from "../i18n.js";
import { head, told } from "../parts.js";

export async function show(root, [name]) {
  if (name) return edit(root, name);
  const { recipes } = await get("/v1/recipes");
  fill(
    root,
    head(t("nav.recipes"), t("recipes.text"), h("a", { class: "button", href: "#recipes/+" }, t("recipes.new"))),
    h("div", { class: "columns" }, recipes.map((recipe) => h(
      "article",
      { class: "card stack" },
      h("div", { class: "row spread" }, h("h2", {}, h("a", { href: `#recipes/${encodeURIComponent(recipe.name)}` }, recipe.title || recipe.name)),
        recipe.builtin ? h("span", { class: "badge" }, t("recipes.builtin")) : h("span", { class: "badge info" }, t("recipes.own"))),
      recipe.problem ? h("p", { class: "note bad" }, icon("alert"), recipe.problem)
        : h("p", { class: "small muted" }, recipe.fields.map((field) => field.title || field.name).join(", ")),
    ))),
  );
}

async function edit(root, name) {
  const fresh = name === "+";
  const loaded = fresh ? { ...(await get("/v1/recipes/new?name=my-recipe")), builtin: false } : await get(`/v1/recipes/${encodeURIComponent(name)}`);
  const said = h("div", { class: "note", role: "status" });
  const text = h("textarea", { id: "text", class: "code", spellcheck: "false", value: loaded.text, "aria-describedby": "said-recipe" });
  const save = h("button", { type: "button", class: "primary", on: { click: keep } }, t("action.save"));
  const input = h("input", { type: "file", hidden: true, on: { change: () => attempt(input.files[0]) } });
  let timer = 0;
  said.id = "said-recipe";

  async function check() {
    try {
      const { ok, problem } = await post("/v1/recipes/validate", { text: text.value });
      said.className = ok ? "note good" : "note bad";
      fill(said, icon(ok ? "check" : "alert"), h("span", {}, ok ? t("recipes.valid") : problem));
      save.disabled = !ok;
    } catch (error) {
      toast(told(error));
    }
  }

  async function keep() {
    try {
      const kept = await put("/v1/recipes", { text: text.value });
      toast(t("recipes.saved", { name: kept.name }));
      location.hash = `#recipes/${encodeURIComponent(kept.name)}`;
      return kept;
    } catch (error) {
      toast(told(error));
      return null;
    }
  }

  async function attempt(file) {
    if (!file) return;
    const kept = loaded.builtin && text.value === loaded.text ? loaded : await keep();
    if (!kept) return;
    const { path } = await call("PUT", `/ui/upload?name=${encodeURIComponent(file.name)}`, file);
    const run = await post("/v1/runs", { recipe: kept.name, paths: [path], title: t("recipes.trial", { name: kept.title || kept.name }) });
    location.hash = `#run/${run.id}`;
  }

  text.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(check, 350);
  });
  fill(
    root,
    head(fresh ? t("recipes.new") : loaded.title, loaded.builtin ? t("recipes.builtin.text") : "",
      h("button", { type: "button", on: { click: () => input.click() } }, t("recipes.try")), save),
    said,
    h("div", { class: "field" }, h("label", { for: "text" }, t("recipes.file")), text),
    input,
  );
  await check();
  return () => clearTimeout(timer);
}
