// All runs, newest first.

import { get } from "../api.js";
import { fill, h } from "../dom.js";
import { t } from "../i18n.js";
import { empty, head, runLink } from "../parts.js";

export async function show(root, _rest, context) {
  const list = h("div", { class: "stack" });
  fill(root, head(t("nav.runs"), t("runs.text")), list);
  let last = "";
  const draw = async () => {
    const { runs } = await get("/v1/runs?limit=100");
    const active = new Map((context.overview.runs ?? []).map((run) => [run.id, run]));
    const key = JSON.stringify(runs.map((run) => [run.id, run.state, run.counts, run.needs_review]));
    if (key === last) return;
    last = key;
    fill(list, runs.length
      ? runs.map((run) => runLink({ ...run, seconds_left: active.get(run.id)?.seconds_left }))
      : empty("runs", t("runs.none"), t("runs.none.text"), h("a", { class: "button", href: "#home" }, t("runs.start"))));
  };
  context.listeners.add(draw);
  await draw();
  return () => context.listeners.delete(draw);
}
