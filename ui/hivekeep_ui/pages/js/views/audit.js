// The audit log: the newest records, and verifying all of it.

import { get, post } from "../api.js";
import { fill, h, icon } from "../dom.js";
import { number, t, when } from "../i18n.js";
import { head } from "../parts.js";

export async function show(root) {
  const result = h("div", { role: "status" });
  const filter = h("input", { type: "search", id: "filter", placeholder: t("audit.filter"), "aria-label": t("audit.filter") });
  const verify = h("button", { type: "button", class: "primary", on: { click: check } }, t("audit.verify"));
  const body = h("tbody", {});
  const { records } = await get("/v1/audit?limit=300");
  records.reverse();

  async function check() {
    verify.disabled = true;
    fill(result, h("div", { class: "note" }, t("audit.verifying")));
    try {
      const report = await post("/v1/audit/verify");
      fill(result, h("div", { class: `note ${report.ok ? "good" : "bad"}` }, icon(report.ok ? "check" : "alert"), h("div", {},
        report.ok ? t("audit.sound", { count: number(report.records) }) : t("audit.broken", { count: number(report.problems.length) }),
        report.problems.map((problem) => h("p", {}, problem)))));
    } finally {
      verify.disabled = false;
    }
  }

  const draw = () => {
    const wanted = filter.value.toLowerCase();
    const fits = (record) => !wanted || `${record.action} ${record.actor} ${record.subject} ${record.outcome} ${record.rule}`.toLowerCase().includes(wanted);
    fill(body, records.filter(fits).map((record) => h("tr", {},
      h("td", {}, number(record.sequence)),
      h("td", {}, when(record.time)),
      h("td", {}, h("details", {}, h("summary", {}, h("code", {}, record.action)), h("pre", { class: "command" }, JSON.stringify(record.detail, null, 2)))),
      h("td", {}, record.subject),
      h("td", {}, record.outcome),
      h("td", {}, record.actor))));
  };
  filter.addEventListener("input", draw);
  draw();
  fill(
    root,
    head(t("nav.audit"), t("audit.text"), verify),
    result,
    filter,
    h("section", { class: "card" }, h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": t("nav.audit") }, h("table", { class: "fold" },
      h("thead", {}, h("tr", {}, ["number", "time", "action", "subject", "outcome", "actor"].map((word) => h("th", { scope: "col" }, t(`audit.${word}`))))), body))),
  );
}
