// One run: the live swarm, the answer to a free request, and what each document gave.

import { follow, get, post } from "../api.js";
import { fill, h, icon, toast } from "../dom.js";
import { duration, number, t, when } from "../i18n.js";
import { head, meter, stateBadge, told, trouble, waitsForPlan } from "../parts.js";
import { reason } from "../said.js";
import { swarm } from "../swarm.js";
import { showAgent } from "./agent.js";

const ROWS = 20;

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
    if (over && !ended) fill(results, ...(await documents(run)));
    ended = over;
  };
  const first = await get(`/v1/runs/${run}/progress?wait=0`);
  await draw(first);
  const quit = follow((since) => `/v1/runs/${run}/progress?since=${since}&wait=20`, draw);
  return () => {
    quit();
    cells.stop();
  };
}

function summary(data) {
  const done = ["done", "failed", "cancelled"].reduce((sum, state) => sum + (data.counts[state] ?? 0), 0);
  const active = data.state === "running" || data.state === "pending";
  // A planner stands for no document and no task.
  const total = data.goal ? documentsOf(data).length : data.documents;
  const act = (verb, body) => async () => {
    try {
      await post(`/v1/runs/${data.id}/${verb}`, body);
    } catch (error) {
      toast(told(error));
    }
  };
  return [
    head(
      data.title,
      [data.recipe, data.model, when(data.created)].join(" · "),
      stateBadge(data.state),
      active && h("button", { type: "button", class: "danger", on: { click: act("cancel") } }, t("run.cancel")),
      (["cancelled", "failed"].includes(data.state) || (data.state === "paused" && !waitsForPlan(data))) && h("button", { type: "button", on: { click: act("resume", { retry_failed: true }) } }, t("run.resume")),
    ),
    waitsForPlan(data) && h("div", { class: "note warn" }, icon("clock"), h("span", {}, t("plan.waits.text"), " ", h("a", { href: `#ask/${data.id}` }, t("plan.look")))),
    active && meter(done, total, data.title),
    h("p", { class: "muted", role: "status" }, [
      data.goal ? t("run.agents", { done: number(done), count: number(total) }) : t("run.documents", { done: number(done), count: number(data.documents) }),
      data.seconds_left ? t("run.left", { time: duration(data.seconds_left) }) : "",
      data.needs_review ? t("run.review", { count: number(data.needs_review) }) : "",
      t("run.tokens", { count: number(data.usage.prompt + data.usage.completion) }),
    ].filter(Boolean).join(" · ")),
    data.error && h("div", { class: "note bad", role: "alert" }, icon("alert"), trouble(data.error)),
    data.deliverables.length > 0 && h("div", { class: "row" }, data.deliverables.map((path, index) =>
      h("button", { type: "button", class: index ? "" : "primary", on: { click: () => open(path, data.id, false) } }, t("run.open", { name: path.split("/").pop() }))),
      h("button", { type: "button", on: { click: () => open(data.deliverables[0], data.id, true) } }, icon("folder"), t("run.folder"))),
  ];
}

async function open(path, run, folder) {
  try {
    await post("/ui/open", { path, run, folder });
  } catch (error) {
    toast(told(error));
  }
}

async function documents(run) {
  const data = await get(`/v1/runs/${run}`);
  return [data.goal && answer(data), found(data)];
}

/** What the tasks that nothing comes after have given: the answer to a free request. */
function answer(data) {
  const tasks = data.plan?.tasks ?? [];
  const last = tasks.filter((task) => !task.each_document && !tasks.some((other) => other.after.includes(task.id)));
  const agents = last
    .map((task) => [task, data.agents.find((agent) => agent.role === "task" && agent.task === task.id && !agent.parent)])
    .filter(([task, agent]) => (task.work ?? "agent") === "agent" || agent?.values.length > 0 || agent?.failure);
  return h("section", { class: "card stack" }, h("h2", {}, t("run.answer")), h("blockquote", { class: "asked" }, data.goal),
    agents.length === 0 && h("p", { class: "muted" }, t("run.answer.below")),
    agents.map(([task, agent]) => h("div", { class: "stack" },
      !agent?.values.length && h("p", { class: "note warn" }, icon("alert"), agent?.failure ? trouble(agent.failure) : t("run.answer.none")),
      agent && given(task, agent.values),
      agent && h("p", { class: "small" }, h("a", { href: `#run/${data.id}/agent/${encodeURIComponent(agent.id)}` }, t("run.answer.from"))))));
}

/** Single values as facts, tables with their first rows. */
function given(task, values) {
  const title = (value) => task.outputs.find((output) => output.name === value.name)?.title || value.name;
  const single = values.filter((value) => !("rows" in value));
  return [
    single.length > 0 && h("dl", { class: "facts" }, single.map((value) => [h("dt", {}, title(value)), h("dd", {}, cell(value))])),
    values.filter((value) => "rows" in value).map((value) => rows(title(value), value.rows)),
  ];
}

function rows(title, all) {
  if (all.length === 0) return h("p", { class: "muted" }, t("run.rows", { count: number(0) }));
  const shown = all.slice(0, ROWS);
  const name = (one) => (one.name === "file" ? { ...one, value: String(one.value).split("/").pop() } : one);
  return h("div", { class: "stack" },
    h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": title }, h("table", { class: "values" },
      h("thead", {}, h("tr", {}, all[0].map((one) => h("th", { scope: "col" }, one.name === "file" ? t("run.document") : one.name)))),
      h("tbody", {}, shown.map((row) => h("tr", {}, row.map((one) => h("td", {}, cell(name(one))))))))),
    all.length > ROWS && h("p", { class: "small muted" }, t("run.rows.shown", { shown: number(ROWS), count: number(all.length) })));
}

function found(data) {
  const names = [...new Set(documentsOf(data).flatMap((agent) => agent.values.filter((value) => !("rows" in value)).map((value) => value.name)))].slice(0, 6);
  return h(
    "section",
    { class: "card stack" },
    h("h2", {}, t("run.results")),
    h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": t("run.results") }, h(
      "table",
      { class: "fold values" },
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, t("run.document")), names.map((name) => h("th", { scope: "col" }, name)), h("th", { scope: "col" }, t("run.outcome")))),
      h("tbody", {}, documentsOf(data).map((agent) => {
        const values = Object.fromEntries(agent.values.map((value) => [value.name, value]));
        return h(
          "tr",
          {},
          h("td", {}, h("a", { href: `#run/${data.id}/agent/${encodeURIComponent(agent.id)}` }, agent.name)),
          names.map((name) => h("td", {}, cell(values[name]))),
          h("td", {}, agent.failure ? h("span", { class: "badge bad" }, reason(agent.failure.reason)) : agent.outcome),
        );
      })),
    )),
  );
}

const documentsOf = (data) => data.agents.filter((agent) => agent.role !== "planner");

function cell(value) {
  if (!value || value.value === null || value.value === undefined) return h("span", { class: "muted" }, "–");
  return value.status === "needs_review" ? h("span", { class: "badge warn" }, icon("alert"), String(value.value)) : String(value.value);
}
