// The first steps: a model, a sample, a result; then a folder of one's own.

import { get, post } from "../api.js";
import { fill, h, toast } from "../dom.js";
import { bytes, t } from "../i18n.js";
import { chooseFolder, dropZone, head, runLink, saveSettings, told } from "../parts.js";

export async function show(root, _rest, context) {
  const { models } = await get("/v1/models");
  const model = models.find((one) => one.default);
  const ready = model?.state === "installed";
  const zone = await dropZone(context, (run) => (location.hash = `#run/${run.id}`));
  const result = h("div", { class: "stack" });
  const folder = h("input", { id: "folder", placeholder: `${context.environment.home}/Inbox`, "aria-label": t("folders.folder") });

  const draw = (data) => fill(result, (data.recent ?? []).slice(0, 1).map((run) => runLink({ ...run, state: "finished", done: run.documents })),
    (data.runs ?? []).map(runLink), !(data.recent ?? []).length && !(data.runs ?? []).length && h("p", { class: "muted" }, t("welcome.result.text")));
  context.listeners.add(draw);
  draw(context.overview);

  const sample = async () => {
    try {
      const run = await post("/v1/samples/run", {});
      location.hash = `#run/${run.id}`;
    } catch (error) {
      toast(told(error));
    }
  };
  const watch = async () => {
    try {
      const chosen = folder.value || (await chooseFolder(context));
      if (!chosen) return;
      await post("/v1/watches", { folder: chosen, recipe: context.environment.settings.recipe });
      await saveSettings(context, { welcomed: true });
      location.hash = "#folders";
    } catch (error) {
      toast(told(error));
    }
  };
  const later = async () => {
    await saveSettings(context, { welcomed: true });
    location.hash = "#home";
  };
  const step = (past, title, ...content) => h("li", { class: past ? "past" : undefined }, h("div", { class: "card stack" }, h("h2", {}, title), content));
  fill(
    root,
    head(t("welcome.title"), t("welcome.text"), h("button", { type: "button", on: { click: later } }, t("welcome.skip"))),
    h("ol", { class: "walk" },
      step(ready, t("welcome.model"), h("p", {}, ready ? t("welcome.model.here", { title: model.title }) : t("welcome.model.text", { size: bytes(model?.size ?? 0) })),
        !ready && h("p", {}, h("a", { class: "button", href: "#models" }, t("models.get")))),
      step(false, t("welcome.sample"), h("p", {}, t("welcome.sample.text")),
        h("div", { class: "row" }, h("button", { type: "button", class: "primary", disabled: !ready, on: { click: sample } }, t("welcome.sample.run"))), zone),
      step((context.overview.recent ?? []).length > 0, t("welcome.result"), result),
      step(false, t("welcome.folder"), h("p", {}, t("welcome.folder.text")), h("div", { class: "row" }, folder, h("button", { type: "button", on: { click: watch } }, t("folders.add")))),
    ),
  );
  return () => context.listeners.delete(draw);
}
