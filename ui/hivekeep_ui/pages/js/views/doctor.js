// Doctor: whether this machine has what is needed.

import { get } from "../api.js";
import { fill, h, icon } from "../dom.js";
import { t } from "../i18n.js";
import { head } from "../parts.js";

const MARKS = { ok: ["check", "good"], remark: ["alert", "warn"], problem: ["alert", "bad"] };

export async function show(root) {
  const list = h("section", { class: "card stack", "aria-busy": "true" }, h("p", { class: "muted" }, t("doctor.looking")));
  const again = h("button", { type: "button", on: { click: look } }, t("doctor.again"));
  fill(root, head(t("nav.doctor"), t("doctor.text"), again), list);
  async function look() {
    again.disabled = true;
    const { findings } = await get("/ui/doctor");
    list.removeAttribute("aria-busy");
    fill(list, h("ul", { class: "stack" }, findings.map((finding) => {
      const [symbol, kind] = MARKS[finding.state] ?? MARKS.remark;
      return h("li", { class: "row" }, h("span", { class: `badge ${kind}` }, icon(symbol), t(`doctor.${finding.state}`)), h("strong", {}, finding.subject), h("span", {}, finding.text),
        finding.next_step && h("span", { class: "small muted" }, finding.next_step));
    })));
    again.disabled = false;
  }
  look().catch((error) => fill(list, h("p", { class: "note bad" }, icon("alert"), error.what || error.message)));
}
