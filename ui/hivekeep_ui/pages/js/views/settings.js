// Settings of the interface: language, theme, notifications, quiet hours.

import { fill, h, toast } from "../dom.js";
import { t } from "../i18n.js";
import { head, saveSettings, told } from "../parts.js";

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
  fill(
    root,
    head(t("nav.settings"), t("settings.text")),
    h("div", { class: "columns" },
      h("section", { class: "card stack" }, h("h2", {}, t("settings.look")), select("language", ["auto", "en", "zh-CN"]), select("theme", ["auto", "light", "dark"])),
      h("section", { class: "card stack" }, h("h2", {}, t("settings.notify")), toggle("notifications"), toggle("popup"), toggle("do_not_disturb"),
        h("p", { class: "small muted" }, t("settings.quiet")), h("div", { class: "row" }, time("quiet_from"), time("quiet_to")))),
    h("p", {}, h("a", { href: "#welcome" }, t("settings.welcome"))),
  );
}
