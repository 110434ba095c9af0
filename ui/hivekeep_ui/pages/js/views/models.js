// Models: which are here, how much memory they need, and getting one.

import { get, post } from "../api.js";
import { fill, h, icon, toast } from "../dom.js";
import { bytes, number, t } from "../i18n.js";
import { dialog, head } from "../parts.js";

export async function show(root) {
  const list = h("div", { class: "columns" });
  fill(root, head(t("nav.models"), t("models.text")), list);
  const draw = async () => {
    const { models } = await get("/v1/models");
    fill(list, models.map(card));
  };
  const card = (model) => h(
    "article",
    { class: "card stack" },
    h("div", { class: "row spread" }, h("h2", {}, model.title), h("span", { class: `badge ${model.state === "installed" ? "good" : ""}` }, model.state === "installed" ? icon("check") : null, t(`model.${model.state}`))),
    h("p", { class: "mono small muted" }, model.name),
    h("dl", { class: "facts" },
      h("dt", {}, t("models.size")), h("dd", {}, bytes(model.size)),
      h("dt", {}, t("models.memory")), h("dd", {}, bytes(model.memory)),
      h("dt", {}, t("models.context")), h("dd", {}, t("models.tokens", { count: number(model.context) })),
      h("dt", {}, t("models.licence")), h("dd", {}, model.licence)),
    model.default && h("p", {}, h("span", { class: "badge info" }, t("models.default"))),
    model.state !== "installed" && h("button", { type: "button", on: { click: () => ask(model) } }, t("models.get")),
  );
  const ask = (model) => dialog(t("models.get"), (close) => h(
    "div",
    { class: "stack" },
    h("p", {}, t("models.ask", { title: model.title, size: bytes(model.size) })),
    h("div", { class: "row" },
      h("button", { type: "button", class: "primary", on: { click: async () => {
        close();
        try {
          await post("/ui/pull", { name: model.name });
          toast(t("models.started"));
        } catch (error) {
          toast(error.why || error.what);
        }
      } } }, t("models.get")),
      h("button", { type: "button", on: { click: close } }, t("action.cancel")))));
  await draw();
  const timer = setInterval(() => draw().catch(() => {}), 5000);
  return () => clearInterval(timer);
}
