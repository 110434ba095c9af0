// One run: the live swarm, its documents, and one document's values beside its page.

import { follow, get, post } from "../api.js";
import { fill, h, icon, svg, toast } from "../dom.js";
import { duration, number, t, when } from "../i18n.js";
import { dialog, head, meter, stateBadge } from "../parts.js";
import { swarm } from "../swarm.js";

// A mark keeps a little distance from the words, as a fraction of the page.
const MARGIN = 0.004;
const KINDS = { grounded: "good", derived: "info", judged: "", absent: "", needs_review: "warn" };

export async function show(root, [run, place, agent], context) {
  if (place === "agent") return showAgent(root, run, agent, context);
  const cells = swarm((chosen) => (location.hash = `#run/${run}/agent/${encodeURIComponent(chosen)}`));
  const top = h("div", { class: "stack" });
  const results = h("div", { class: "stack" });
  fill(root, top, h("section", { class: "card stack" }, h("h2", {}, t("swarm.title")), cells.grid, cells.legend), results);
  let ended = false;
  let drawn = "";
  const draw = async (data) => {
    cells.update(data.agents);
    const key = JSON.stringify([data.state, data.counts, data.seconds_left, data.deliverables]);
    if (key !== drawn) fill(top, ...summary(data));
    drawn = key;
    const over = ["finished", "failed", "cancelled"].includes(data.state);
    if (over && !ended) fill(results, await documents(run));
    ended = over;
  };
  const first = await get(`/v1/runs/${run}/progress?wait=0`);
  await draw(first);
  return follow((since) => `/v1/runs/${run}/progress?since=${since}&wait=20`, draw);
}

function summary(data) {
  const done = ["done", "failed", "cancelled"].reduce((sum, state) => sum + (data.counts[state] ?? 0), 0);
  const active = data.state === "running" || data.state === "pending";
  const act = (verb, body) => async () => {
    try {
      await post(`/v1/runs/${data.id}/${verb}`, body);
    } catch (error) {
      toast([error.what, error.why].join(" "));
    }
  };
  return [
    head(
      data.title,
      [data.recipe, data.model, when(data.created)].join(" · "),
      stateBadge(data.state),
      active && h("button", { type: "button", class: "danger", on: { click: act("cancel") } }, t("run.cancel")),
      ["cancelled", "failed"].includes(data.state) && h("button", { type: "button", on: { click: act("resume", { retry_failed: true }) } }, t("run.resume")),
    ),
    active && meter(done, data.documents, data.title),
    h("p", { class: "muted", role: "status" }, [
      t("run.documents", { done: number(done), count: number(data.documents) }),
      data.seconds_left ? t("run.left", { time: duration(data.seconds_left) }) : "",
      data.needs_review ? t("run.review", { count: number(data.needs_review) }) : "",
      t("run.tokens", { count: number(data.usage.prompt + data.usage.completion) }),
    ].filter(Boolean).join(" · ")),
    data.error && h("div", { class: "note bad", role: "alert" }, icon("alert"), h("div", {}, h("strong", {}, data.error.what), h("p", {}, data.error.why))),
    data.deliverables.length > 0 && h("div", { class: "row" }, data.deliverables.map((path, index) =>
      h("button", { type: "button", class: index ? "" : "primary", on: { click: () => open(path, data.id, false) } }, t("run.open", { name: path.split("/").pop() }))),
      h("button", { type: "button", on: { click: () => open(data.deliverables[0], data.id, true) } }, icon("folder"), t("run.folder"))),
  ];
}

async function open(path, run, folder) {
  try {
    await post("/ui/open", { path, run, folder });
  } catch (error) {
    toast(error.why || error.what);
  }
}

async function documents(run) {
  const data = await get(`/v1/runs/${run}`);
  const names = [...new Set(data.agents.flatMap((agent) => agent.values.filter((value) => !("rows" in value)).map((value) => value.name)))].slice(0, 6);
  return h(
    "section",
    { class: "card stack" },
    h("h2", {}, t("run.results")),
    h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": t("run.results") }, h(
      "table",
      { class: "fold values" },
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, t("run.document")), names.map((name) => h("th", { scope: "col" }, name)), h("th", { scope: "col" }, t("run.outcome")))),
      h("tbody", {}, data.agents.map((agent) => {
        const values = Object.fromEntries(agent.values.map((value) => [value.name, value]));
        return h(
          "tr",
          {},
          h("td", {}, h("a", { href: `#run/${data.id}/agent/${encodeURIComponent(agent.id)}` }, agent.name)),
          names.map((name) => h("td", {}, cell(values[name]))),
          h("td", {}, agent.failure ? h("span", { class: "badge bad" }, agent.failure.reason) : agent.outcome),
        );
      })),
    )),
  );
}

function cell(value) {
  if (!value || value.value === null || value.value === undefined) return h("span", { class: "muted" }, "–");
  return value.status === "needs_review" ? h("span", { class: "badge warn" }, icon("alert"), String(value.value)) : String(value.value);
}

async function showAgent(root, run, agentId, context) {
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
        toast([error.what, error.why].join(" "));
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
    agent.failure && h("div", { class: "note bad", role: "alert" }, icon("alert"), h("div", {}, h("strong", {}, agent.failure.what), h("p", {}, agent.failure.why), h("p", {}, agent.failure.next_step))),
    h("div", { class: "beside" },
      h("div", { class: "stack" },
        h("section", { class: "card stack" }, h("h2", {}, t("value.title")),
          agent.problems.map((problem) => h("p", { class: "note warn" }, icon("alert"), problem)),
          flat.length ? h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": t("value.title") }, h("table", { class: "values" },
            h("thead", {}, h("tr", {}, [t("value.field"), t("value.value"), t("value.trust")].map((word) => h("th", { scope: "col" }, word)), h("th", { scope: "col" }, h("span", { class: "hush" }, t("value.correct"))))),
            h("tbody", {}, flat.map(row)))) : h("p", { class: "muted" }, t("value.none"))),
        corrected.size > 0 && example(agent),
        h("section", { class: "card stack" }, h("h2", {}, t("agent.steps")),
          h("ol", { class: "steps" }, agent.steps.map((step) => h("li", {}, h("span", { class: `state-${step.done ? "done" : "thinking"}` }, icon(step.done ? "check" : "clock")), h("code", {}, step.key), step.intents > 1 && h("span", { class: "badge" }, t("agent.again", { count: step.intents }))))),
          h("p", { class: "small muted" }, t("agent.cost", { time: duration(agent.seconds), tokens: number(agent.usage.prompt + agent.usage.completion) })),
          agent.notes.map((note) => h("p", { class: "small muted" }, note)))),
      paper),
  );
  drawPage();
}

function example(agent) {
  const lines = agent.corrections.filter((made) => made.row === null).map((made) => `      ${made.field}: ${JSON.stringify(made.after)}`);
  const yaml = ["test:", `  - file: ${JSON.stringify(agent.path)}`, "    expect:", ...lines].join("\n");
  return h("section", { class: "card stack" }, h("h2", {}, t("example.title")), h("p", { class: "small muted" }, t("example.text")),
    h("pre", { class: "command", tabindex: "0" }, yaml));
}

function flatten(agent) {
  const titles = Object.fromEntries(agent.fields.map((field) => [field.name, field.title || field.name]));
  return agent.values.flatMap((value) => {
    if (!("rows" in value)) return [{ ...value, key: key(value.name, null, ""), field: value.name, row: null, column: "", title: titles[value.name] ?? value.name }];
    return value.rows.flatMap((cells, row) => cells.map((one) => ({ ...one, key: key(value.name, row, one.name), field: value.name, row, column: one.name, title: `${titles[value.name] ?? value.name} ${row + 1}: ${one.name}` })));
  });
}

const key = (field, row, column) => `${field}|${row ?? ""}|${column ?? ""}`;
const drawable = (media) => media === "application/pdf" || media.startsWith("image/");
const text = (value) => (value === null || value === undefined ? "–" : String(value));

