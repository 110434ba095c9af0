// Settings of the interface: language, theme, files, notifications, quiet hours.

import { fill, h, toast } from "../dom.js";
import { t } from "../i18n.js";
import { chooseFolder, head, recipeSelect, saveSettings, told } from "../parts.js";

export async function show(root, _rest, context) {
  const { settings } = context.environment;
  const save = async (changes) => {
    try {
      context.obey(await saveSettings(context, changes));
      toast(t("settings.saved"));
    } catch (error) {
      toast(told(error));
    }
  };
  const select = (name, options) => h("div", { class: "field" }, h("label", { for: name }, t(`settings.${name}`)),
    h("select", { id: name, on: { change: (event) => save({ [name]: event.target.value }) } },
      options.map((option) => h("option", { value: option, selected: settings[name] === option }, t(`settings.${name}.${option}`)))));
  const toggle = (name) => h("div", { class: "check" },
    h("input", { type: "checkbox", id: name, checked: settings[name], on: { change: (event) => save({ [name]: event.target.checked }) } }),
    h("label", { for: name }, t(`settings.${name}`)));
  const time = (name) => h("div", { class: "field" }, h("label", { for: name }, t(`settings.${name}`)),
    h("input", { type: "time", id: name, value: settings[name], on: { change: (event) => save({ [name]: event.target.value }) } }));
  const recipes = await recipeSelect(settings.recipe);
  recipes.addEventListener("change", () => save({ recipe: recipes.value }));
  const folder = h("input", { id: "drop_folder", value: settings.drop_folder, placeholder: `${context.environment.home}/Hivekeep`, autocomplete: "off", spellcheck: "false", "aria-describedby": "drop-folder-text", on: { change: () => save({ drop_folder: folder.value.trim() }) } });
  const choose = async () => {
    const chosen = await chooseFolder(context);
    if (!chosen) return;
    folder.value = chosen;
    await save({ drop_folder: chosen });
  };
  fill(
    root,
    head(t("nav.settings"), t("settings.text")),
    h("div", { class: "columns" },
      h("section", { class: "card stack" }, h("h2", {}, t("settings.look")), select("language", ["auto", "en", "zh-CN"]), select("theme", ["auto", "light", "dark"])),
      h("section", { class: "card stack" }, h("h2", {}, t("settings.files")),
        h("div", { class: "field" }, h("label", { for: "recipe" }, t("settings.recipe")), recipes),
        h("div", { class: "field" }, h("label", { for: "drop_folder" }, t("settings.drop_folder")),
          h("div", { class: "beside-button" }, folder, context.environment.window && h("button", { type: "button", on: { click: choose } }, t("folders.choose"))),
          h("p", { id: "drop-folder-text", class: "small muted" }, t("settings.drop_folder.text")))),
      h("section", { class: "card stack" }, h("h2", {}, t("settings.notify")), toggle("notifications"), toggle("popup"), toggle("do_not_disturb"),
        h("p", { class: "small muted" }, t("settings.quiet")), h("div", { class: "row" }, time("quiet_from"), time("quiet_to")))),
    h("p", {}, h("a", { href: "#welcome" }, t("settings.welcome"))),
  );
}
