// Models: which are here, how much memory they need, how fast they are, and getting one.

import { get, post } from "../api.js";
import { fill, h, icon, say, toast } from "../dom.js";
import { bytes, number, t } from "../i18n.js";
import { dialog, head, meter, told, trouble } from "../parts.js";

const OFTEN = 1000;
const SELDOM = 10_000;

export async function show(root) {
  const memory = h("p", { class: "muted" });
  const list = h("div", { class: "columns wide" });
  fill(root, head(t("nav.models"), t("models.text")), memory, list);
  let drawn = "";
  let timer = 0;
  let left = false;
  const before = new Map();

  const draw = async () => {
    const [{ models, memory: here }, { pulls }] = await Promise.all([get("/v1/models"), get("/ui/pulls")]);
    const key = JSON.stringify([models, pulls, Math.round(here.available / 2e8)]);
    if (key !== drawn && !left) {
      fill(memory, t("models.machine", { free: bytes(here.available), total: bytes(here.total) }));
      fill(list, models.map((model) => card(model, pulls[model.name], here)));
      for (const model of models) announce(model, pulls[model.name]);
    }
    drawn = key;
    return models.some((model) => model.bench?.state === "measuring") || Object.values(pulls).some((pull) => pull.state === "running");
  };
  const again = async () => {
    clearTimeout(timer);
    const busy = await draw().catch(() => false);
    clearTimeout(timer);
    if (!left) timer = setTimeout(again, busy ? OFTEN : SELDOM);
  };

  /** Tell a screen reader what has ended; the bars tell the rest. */
  const announce = (model, pull) => {
    const now = [pull?.state, model.bench?.state].join();
    const was = before.get(model.name);
    before.set(model.name, now);
    if (was === undefined || was === now) return;
    if (pull?.state === "done" && was.startsWith("running")) say(t("models.pulled", { title: model.title }));
    if (was.endsWith("measuring")) say(t("models.measured", { title: model.title }));
  };

  const card = (model, pull, here) => {
    const installed = model.state === "installed";
    const pulling = pull?.state === "running";
    const measuring = model.bench?.state === "measuring";
    return h(
      "article",
      { class: "card stack", data: { model: model.name } },
      h("div", { class: "row spread" }, h("h2", {}, model.title), h("span", { class: `badge ${installed ? "good" : ""}` }, installed ? icon("check") : null, t(`model.${model.state}`))),
      h("p", { class: "mono small muted" }, model.name),
      h("dl", { class: "facts" },
        h("dt", {}, t("models.size")), h("dd", {}, bytes(model.size)),
        h("dt", {}, t("models.memory")), h("dd", {}, bytes(model.memory), " ", fits(model, here)),
        h("dt", {}, t("models.context")), h("dd", {}, t("models.tokens", { count: number(model.context) })),
        h("dt", {}, t("models.licence")), h("dd", {}, model.licence)),
      model.default && h("p", {}, h("span", { class: "badge info" }, t("models.default"))),
      !installed && (pulling || model.done > 0) && h("div", { class: "stack" }, meter(model.done, model.size, t("models.progress", { title: model.title })),
        h("p", { class: "small muted" }, t(pulling ? "models.pulling" : "models.partial", { done: bytes(model.done), size: bytes(model.size) }))),
      pull?.state === "failed" && !installed && h("div", { class: "note bad" }, icon("alert"), trouble(pull.error)),
      !installed && !pulling && h("div", {}, h("button", { type: "button", on: { click: () => ask(model) } }, t(model.done ? "models.continue" : "models.get"))),
      installed && speed(model.bench),
      installed && h("div", {}, h("button", { type: "button", disabled: measuring, on: { click: () => measure(model) } }, icon("pulse"), t(model.bench ? "models.measure.again" : "models.measure"))),
    );
  };

  const measure = async (model) => {
    try {
      await post(`/v1/models/${encodeURIComponent(model.name)}/bench`);
      say(t("models.measuring"));
    } catch (error) {
      toast(told(error));
    }
    await again();
  };

  const ask = (model) => dialog(t("models.get"), (close) => h(
    "div",
    { class: "stack" },
    h("p", {}, t("models.ask", { title: model.title, size: bytes(model.size) })),
    h("div", { class: "row" },
      h("button", { type: "button", class: "primary", on: { click: async () => {
        close();
        try {
          await post("/ui/pull", { name: model.name });
        } catch (error) {
          toast(told(error));
        }
        await again();
      } } }, t("models.get")),
      h("button", { type: "button", on: { click: close } }, t("action.cancel")))));

  await again();
  return () => {
    left = true;
    clearTimeout(timer);
  };
}

/** Whether a model fits into this machine's memory, now or at all. */
function fits(model, here) {
  if (model.memory > here.total) return h("span", { class: "badge bad" }, icon("alert"), t("models.fits.never"));
  if (model.memory > here.available) return h("span", { class: "badge warn" }, icon("alert"), t("models.fits.later"));
  return h("span", { class: "badge good" }, t("models.fits"));
}

/** What was measured: the rates of the settings in use, beside what the machine allows. */
function speed(bench) {
  if (!bench) return h("p", { class: "small muted" }, t("models.unmeasured"));
  if (bench.state === "measuring") {
    return h("div", { class: "stack" },
      h("div", { class: "meter busy", role: "progressbar", "aria-label": t("models.measuring") }, h("span", {})),
      h("p", { class: "small muted" }, t("models.measuring")));
  }
  if (bench.state === "failed") return h("div", { class: "note bad" }, icon("alert"), trouble(bench.error));
  const { rates, tuning, limits } = bench;
  const rate = (value) => t("models.rate", { count: number(Math.round(value)) });
  const [, alone] = rates.threads[tuning.threads];
  const rows = [
    [t("models.reading"), rates.chunks[tuning.chunk_alone] ?? rates.threads[tuning.threads][0], limits?.prefill],
    [t("models.writing"), alone, limits?.decode],
    [t("models.together", { count: number(tuning.slots) }), rates.slots[tuning.slots] ?? Math.max(...Object.values(rates.slots)), null],
  ];
  return h("section", { class: "stack" },
    h("h3", {}, t("models.speed")),
    h("dl", { class: "facts" }, rows.map(([name, value, limit]) => [
      h("dt", {}, name),
      h("dd", {}, rate(value), limit && h("span", { class: "small muted" }, ` ${t("models.limit", { count: number(Math.round(limit)) })}`)),
    ])),
    h("p", { class: "small muted" }, t("models.tuning", { threads: number(tuning.threads), slots: number(tuning.slots) })),
    !bench.kept && h("p", { class: "note warn" }, icon("alert"), t("models.disturbed")));
}
