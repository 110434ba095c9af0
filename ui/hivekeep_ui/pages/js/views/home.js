// Home: what is going on, and a place to drop files.

import { put } from "../api.js";
import { fill, h, icon, toast } from "../dom.js";
import { t, when } from "../i18n.js";
import { dropZone, head, runLink } from "../parts.js";

export async function show(root, [wish], context) {
  const zone = await dropZone(context, (run) => (location.hash = `#run/${run.id}`));
  const now = h("section", { class: "stack" });
  const recent = h("section", { class: "stack" });
  const notes = h("div", { class: "stack" });
  const pause = h("button", { type: "button" });
  fill(root, head(t("home.title"), t("home.text"), pause), notes, zone, h("div", { class: "columns" }, now, recent));

  const draw = (data) => {
    if (!data.runs) return;
    fill(notes, data.problems.map((problem) => h("div", { class: "note bad", role: "alert" }, icon("alert"), t(`problem.${problem.code}`, problem))),
      data.approvals > 0 && h("div", { class: "note warn" }, icon("shield"), h("span", {}, t("home.waiting", { count: data.approvals }), " ", h("a", { href: "#approvals" }, t("home.answer")))),
      data.paused_until && h("div", { class: "note" }, icon("pause"), t("home.paused", { time: when(data.paused_until) })));
    fill(now, h("h2", {}, t("home.now")), data.runs.length ? data.runs.map(runLink) : h("p", { class: "muted" }, t("home.quiet")));
    fill(recent, h("h2", {}, t("home.recent")), data.recent.length
      ? data.recent.map((run) => runLink({ ...run, state: "finished", done: run.documents, created: run.ended }))
      : h("p", { class: "muted" }, t("home.nothing")));
    fill(pause, icon(data.paused_until ? "play" : "pause"), data.paused_until ? t("pause.end") : t("pause.hour"));
    pause.onclick = async () => {
      const { paused_until: until } = await put("/v1/pause", { seconds: data.paused_until ? 0 : 3600 });
      toast(until ? t("home.paused", { time: when(until) }) : t("pause.ended"));
    };
  };
  context.listeners.add(draw);
  draw(context.overview);
  // Asked for once: neither a reload nor the same wish from the tray may find it done already.
  if (wish) history.replaceState(null, "", "#home");
  if (wish === "clipboard") zone.paste();
  if (wish === "files") zone.choose();
  return () => context.listeners.delete(draw);
}

