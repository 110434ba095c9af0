// One sub-agent: its values beside the page they were read from, its steps, and corrections.

import { get, post } from "../api.js";
import { fill, h, icon, svg, toast } from "../dom.js";
import { offers } from "../example.js";
import { duration, number, t } from "../i18n.js";
import { dialog, head, told, trouble } from "../parts.js";

// A mark keeps a little distance from the words, as a fraction of the page.
const MARGIN = 0.004;
const KINDS = { grounded: "good", derived: "info", judged: "", absent: "", needs_review: "warn" };

/** Show one sub-agent of a run. */
export async function showAgent(root, run, agentId, context) {
  const agent = await get(`/v1/runs/${run}/agents/${encodeURIComponent(agentId)}`);
  const view = { page: 1, chosen: "" };
  const paper = h("div", { class: "page" });
  const corrected = new Map(agent.corrections.map((made) => [key(made.field, made.row, made.column), made]));
  const flat = flatten(agent);
  const marks = flat.flatMap((value) => value.evidence.filter((place) => place.box).map((place) => ({ ...place, key: value.key })));
  view.page = marks[0]?.page ?? 1;

  const drawPage = () => {
    if (!agent.pages || !drawable(agent.media_type)) {
      return fill(paper, h("div", { class: "empty" }, icon("recipe"), h("p", {}, t("page.none"))));
    }
    const here = marks.filter((place) => place.page === view.page);
    const image = h("img", { alt: t("page.alt", { page: view.page, name: agent.name }), src: `/v1/runs/${run}/agents/${encodeURIComponent(agentId)}/pages/${view.page}` });
    fill(
      paper,
      h("div", { class: "tools" },
        h("button", { type: "button", class: "plain", "aria-label": t("page.before"), disabled: view.page <= 1, on: { click: () => turn(-1) } }, "‹"),
        h("span", { class: "small", role: "status" }, t("page.of", { page: number(view.page), count: number(agent.pages) })),
        h("button", { type: "button", class: "plain", "aria-label": t("page.after"), disabled: view.page >= agent.pages, on: { click: () => turn(1) } }, "›")),
      h("div", { class: "sheet", tabindex: "0", role: "region", "aria-label": t("page.region") }, image,
        svg("svg", { class: "marks", viewBox: "0 0 1 1", preserveAspectRatio: "none", "aria-hidden": "true" },
          here.map(({ box, key: name }) => svg("rect", { x: box.x0 - MARGIN, y: box.y0 - MARGIN, width: box.x1 - box.x0 + 2 * MARGIN, height: box.y1 - box.y0 + 2 * MARGIN, class: name === view.chosen ? "chosen" : undefined })))),
    );
  };
  const turn = (step) => {
    view.page += step;
    drawPage();
  };
  const pick = (value) => {
    view.chosen = value.key;
    const place = value.evidence.find((one) => one.box);
    if (place) view.page = place.page;
    drawPage();
    for (const row of root.querySelectorAll("tr[data-key]")) row.classList.toggle("chosen", row.dataset.key === value.key);
  };

  const row = (value) => {
    const made = corrected.get(value.key);
    return h(
      "tr",
      { data: { key: value.key } },
      h("td", {}, value.title),
      h("td", { class: "value" }, h("button", { type: "button", class: "pick", on: { click: () => pick(value) } },
        made ? [h("s", {}, text(value.value)), " ", text(made.after)] : text(value.value))),
      h("td", {}, made ? h("span", { class: "badge info" }, t("value.corrected", { who: made.author })) : h("span", { class: `badge ${KINDS[value.status]}` }, t(`value.${value.status}`)),
        value.reason && h("div", { class: "small muted" }, value.reason)),
      h("td", {}, h("button", { type: "button", class: "plain", "aria-label": t("value.correct.label", { name: value.title }), on: { click: () => correct(value) } }, t("value.correct"))),
    );
  };
  const correct = (value) => dialog(t("value.correct.label", { name: value.title }), (close) => {
    const input = h("input", { id: "after", value: value.value === null ? "" : text(value.value), autocomplete: "off" });
    const note = h("input", { id: "note", autocomplete: "off" });
    return h("form", { class: "stack", method: "dialog", on: { submit: async (event) => {
      event.preventDefault();
      try {
        await post(`/v1/runs/${run}/agents/${encodeURIComponent(agentId)}/corrections`, { field: value.field, row: value.row, column: value.column, after: input.value === "" ? null : input.value, note: note.value });
        close();
        toast(t("value.kept"));
        await showAgent(root, run, agentId, context);
      } catch (error) {
        toast(told(error));
      }
    } } },
      h("p", { class: "small muted" }, t("value.correct.text")),
      h("div", { class: "field" }, h("label", { for: "after" }, t("value.after")), input),
      h("div", { class: "field" }, h("label", { for: "note" }, t("value.note")), note),
      h("div", { class: "row" }, h("button", { class: "primary" }, t("action.save")), h("button", { type: "button", on: { click: close } }, t("action.cancel"))));
  });

  fill(
    root,
    head(agent.name, "", h("a", { class: "button", href: `#run/${run}` }, t("run.back"))),
    agent.failure && h("div", { class: "note bad", role: "alert" }, icon("alert"), trouble(agent.failure)),
    h("div", { class: "beside" },
      h("div", { class: "stack" },
        h("section", { class: "card stack" }, h("h2", {}, t("value.title")),
          agent.problems.map((problem) => h("p", { class: "note warn" }, icon("alert"), problem)),
          flat.length ? h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": t("value.title") }, h("table", { class: "values" },
            h("thead", {}, h("tr", {}, [t("value.field"), t("value.value"), t("value.trust")].map((word) => h("th", { scope: "col" }, word)), h("th", { scope: "col" }, h("span", { class: "hush" }, t("value.correct"))))),
            h("tbody", {}, flat.map(row)))) : h("p", { class: "muted" }, t("value.none"))),
        corrected.size > 0 && offers(run, agent, titles(agent)),
        h("section", { class: "card stack" }, h("h2", {}, t("agent.steps")),
          h("ol", { class: "steps" }, agent.steps.map((step) => h("li", {}, h("span", { class: `state-${step.done ? "done" : "thinking"}` }, icon(step.done ? "check" : "clock")), h("code", {}, step.key), step.intents > 1 && h("span", { class: "badge" }, t("agent.again", { count: step.intents }))))),
          h("p", { class: "small muted" }, t("agent.cost", { time: duration(agent.seconds), tokens: number(agent.usage.prompt + agent.usage.completion) })),
          agent.notes.map((note) => h("p", { class: "small muted" }, note)))),
      paper),
  );
  drawPage();
}

const titles = (agent) => Object.fromEntries(agent.fields.map((field) => [field.name, field.title || field.name]));

function flatten(agent) {
  const named = titles(agent);
  return agent.values.flatMap((value) => {
    if (!("rows" in value)) return [{ ...value, key: key(value.name, null, ""), field: value.name, row: null, column: "", title: named[value.name] ?? value.name }];
    return value.rows.flatMap((cells, row) => cells.map((one) => ({ ...one, key: key(value.name, row, one.name), field: value.name, row, column: one.name, title: `${named[value.name] ?? value.name} ${row + 1}: ${one.name}` })));
  });
}

const key = (field, row, column) => `${field}|${row ?? ""}|${column ?? ""}`;
const drawable = (media) => media === "application/pdf" || media.startsWith("image/");
const text = (value) => (value === null || value === undefined ? "–" : String(value));
