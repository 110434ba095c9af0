// The policy in force: every key, its value, who set it.

import { get } from "../api.js";
import { fill, h, icon } from "../dom.js";
import { t } from "../i18n.js";
import { head } from "../parts.js";

export async function show(root, _rest, context) {
  const { policy } = await get("/v1/policy");
  const problems = context.overview.problems ?? [];
  fill(
    root,
    head(t("nav.policy"), t("policy.text")),
    problems.map((problem) => h("div", { class: "note bad", role: "alert" }, icon("alert"), t(`problem.${problem.code}`, problem))),
    h("section", { class: "card" }, h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": t("nav.policy") }, h(
      "table",
      { class: "fold" },
      h("thead", {}, h("tr", {}, ["key", "value", "source", "level"].map((word) => h("th", { scope: "col" }, t(`policy.${word}`))))),
      h("tbody", {}, policy.map((row) => h("tr", {},
        h("td", {}, h("code", {}, row.key)),
        h("td", {}, shown(row.value)),
        h("td", {}, row.source),
        h("td", {}, row.level ? h("span", { class: `badge ${row.level === "mandatory" ? "warn" : ""}` }, row.level) : "")))),
    ))),
  );
}

function shown(value) {
  if (value === null || value === undefined) return h("span", { class: "muted" }, t("policy.unset"));
  if (Array.isArray(value)) return value.length ? h("ul", {}, value.map((one) => h("li", {}, h("code", {}, typeof one === "object" ? JSON.stringify(one) : String(one))))) : h("span", { class: "muted" }, t("policy.none"));
  return h("code", {}, typeof value === "object" ? JSON.stringify(value) : String(value));
}
