// A plan that a person may change before it is carried out: tasks, what each gives, its tools.

import { post } from "./api.js";
import { fill, h, icon } from "./dom.js";
import { has, number, t } from "./i18n.js";
import { trouble } from "./parts.js";

const TYPES = ["text", "identifier", "name", "date", "amount", "number", "integer", "currency", "boolean", "prose"];
const WAIT = 350;

/**
 * The editor of one waiting plan; `plan` is the daemon's view of it, `tools` what tasks may be given.
 * `checked(ok)` is called whenever it is known whether the plan can be carried out.
 */
export function planEditor(run, plan, tools, documents, checked) {
  let tasks = linked(plan.form);
  let yaml = plan.yaml;
  let asText = false;
  let dirty = false;
  let timer = 0;
  let turn = 0;
  let names = [];
  const said = h("div", { class: "note", role: "status" });
  const body = h("div", { class: "stack" });
  const form = modeButton("plan.form", false);
  const text = modeButton("plan.text", true);
  const root = h("section", { class: "stack", "aria-label": t("plan.title") },
    h("div", { class: "row spread" }, h("h2", {}, t("plan.title")), h("div", { class: "row", role: "group", "aria-label": t("plan.mode") }, form, text)),
    said, body);

  function modeButton(label, wanted) {
    return h("button", { type: "button", class: "plain", on: { click: () => change(wanted) } }, t(label));
  }

  async function change(wanted) {
    if (wanted === asText) return;
    if (dirty && !(await check())) return;
    asText = wanted;
    draw();
  }

  const source = () => (asText ? yaml : JSON.stringify({ tasks: tasks.map(written) }));

  function touched() {
    dirty = true;
    checked(false);
    clearTimeout(timer);
    timer = setTimeout(check, WAIT);
  }

  async function check() {
    clearTimeout(timer);
    const mine = ++turn;
    try {
      const found = await post(`/v1/runs/${run}/plan/check`, { text: dirty ? source() : "" });
      if (mine !== turn) return false;
      if (found.ok) {
        yaml = found.yaml;
        if (asText) tasks = linked(found.tasks);
      }
      said.className = found.ok ? "note good" : "note bad";
      fill(said, icon(found.ok ? "check" : "alert"), found.ok ? h("span", {}, t("plan.sound")) : trouble(found.problem));
      checked(found.ok);
      return found.ok;
    } catch (error) {
      said.className = "note bad";
      fill(said, icon("alert"), trouble(error));
      checked(false);
      return false;
    }
  }

  function draw() {
    form.setAttribute("aria-pressed", String(!asText));
    text.setAttribute("aria-pressed", String(asText));
    if (asText) {
      const area = h("textarea", { id: "plan-text", class: "code", spellcheck: "false", value: yaml, on: { input: () => {
        yaml = area.value;
        touched();
      } } });
      fill(body, h("div", { class: "field" }, h("label", { for: "plan-text" }, t("plan.yaml")), area));
      return;
    }
    names = [];
    fill(body, tasks.map(taskCard),
      h("div", {}, h("button", { type: "button", on: { click: () => edit(() => tasks.push(fresh()), `task-${tasks.length}-goal`) } }, t("plan.task.add"))));
  }

  /** Change the plan's shape, show it anew, and put the focus where the work goes on. */
  function edit(work, focus) {
    work();
    touched();
    draw();
    document.getElementById(focus)?.focus();
  }

  function fresh() {
    const before = tasks.at(-1);
    let count = tasks.length + 1;
    while (tasks.some((task) => task.id === `task${count}`)) count += 1;
    return { id: `task${count}`, goal: "", each_document: false, tools: [], after: before ? [before] : [], outputs: [{ name: "answer", type: "prose", description: "" }], more: {} };
  }

  function taskCard(task, index) {
    const id = (name) => `task-${index}-${name}`;
    const goal = h("textarea", { id: id("goal"), rows: "2", class: "words", maxlength: "2000", value: task.goal, on: { input: () => {
      task.goal = goal.value;
      touched();
    } } });
    const name = h("input", { id: id("id"), value: task.id, maxlength: "30", pattern: "[a-z][a-z0-9_\\-]{0,29}", autocomplete: "off", spellcheck: "false", on: { input: () => {
      rename(task, name.value);
      touched();
    } } });
    const byCode = Boolean(task.more.work);
    const how = h("select", { id: id("how"), disabled: documents === 0 || byCode, on: { change: () => edit(() => {
      task.each_document = how.value === "each";
      if (task.each_document) task.tools = [];
    }, id("how")) } },
      h("option", { value: "once", selected: !task.each_document }, t("plan.once")),
      h("option", { value: "each", selected: task.each_document }, t("plan.each", { count: number(documents) })));
    return h("fieldset", { class: "card stack task", "aria-describedby": id("about") },
      h("legend", {}, t("plan.task", { number: number(index + 1) })),
      h("p", { id: id("about"), class: "small muted" }, byCode ? t(`plan.work.${task.more.work}`) : task.each_document ? t("plan.each.text") : t("plan.once.text")),
      h("div", { class: "field" }, h("label", { for: id("goal") }, t("plan.goal")), goal),
      h("div", { class: "pairs" },
        h("div", { class: "field" }, h("label", { for: id("id") }, t("plan.id")), name),
        h("div", { class: "field" }, h("label", { for: id("how") }, t("plan.how")), how)),
      index > 0 && choices(t("plan.after"), id("after"), tasks.slice(0, index).map((other) => {
        const shown = h("code", {}, other.id);
        names.push([other, shown]);
        return { shown, about: "", chosen: task.after, value: other };
      })),
      Object.keys(task.more).some((key) => key !== "work") && details(task.more),
      !task.each_document && !byCode && choices(t("plan.tools"), id("tools"), tools.map((tool) => (
        { shown: h("code", {}, tool.name), about: toolText(tool), chosen: task.tools, value: tool.name }))),
      (!byCode || task.outputs.length > 0) && outputs(task, id),
      h("div", { class: "row" },
        h("button", { type: "button", class: "plain danger", disabled: tasks.length === 1, "aria-label": t("plan.task.remove.label", { number: number(index + 1) }), on: { click: () => edit(() => drop(task), "task-0-goal") } }, t("plan.task.remove"))));
  }

  /** What of a task is changed as text only. */
  function details({ where = [], figures = [], sort = "", most = 0, folder = "" }) {
    const rows = [
      [t("plan.where"), where.map((one) => `${one.field} ${one.is.replaceAll("_", " ")} ${one.value}`).join("; ")],
      [t("plan.figures"), figures.map((one) => `${one.take} ${one.field}`).join("; ")],
      [t("plan.sort"), sort],
      [t("plan.most"), most ? number(most) : ""],
      [t("plan.folder"), folder],
    ];
    return h("div", { class: "stack" },
      h("dl", { class: "facts" }, rows.filter(([, value]) => value).map(([name, value]) => [h("dt", {}, name), h("dd", {}, h("code", {}, value))])),
      h("p", { class: "small muted" }, t("plan.details.text")));
  }

  function choices(title, id, rows) {
    return h("div", { class: "field", role: "group", "aria-labelledby": id },
      h("span", { id, class: "label" }, title),
      h("div", { class: "ticks" }, rows.map(({ shown, about, chosen, value }, row) => {
        const box = h("input", { type: "checkbox", id: `${id}-${row}`, checked: chosen.includes(value), on: { change: () => {
          if (box.checked) chosen.push(value);
          else chosen.splice(chosen.indexOf(value), 1);
          touched();
        } } });
        return h("div", { class: "check" }, box, h("label", { for: `${id}-${row}` }, shown, about && h("span", { class: "small muted" }, ` ${about}`)));
      })));
  }

  function outputs(task, id) {
    return h("div", { class: "field" },
      h("span", { class: "label" }, t("plan.outputs")),
      h("ul", { class: "stack outputs" }, task.outputs.map((output, row) => {
        const part = (name) => `${id(name)}-${row}`;
        const keep = (key, input) => () => {
          output[key] = input.value;
          touched();
        };
        const name = h("input", { id: part("name"), value: output.name, maxlength: "30", placeholder: t("plan.output.name"), "aria-label": t("plan.output.name"), autocomplete: "off", spellcheck: "false" });
        name.addEventListener("input", keep("name", name));
        const type = h("select", { id: part("type"), "aria-label": t("plan.output.type") }, [...new Set([...TYPES, output.type])].map((kind) => h("option", { value: kind, selected: kind === output.type }, has(`type.${kind}`) ? t(`type.${kind}`) : kind)));
        type.addEventListener("change", keep("type", type));
        const about = h("input", { id: part("about"), value: output.description, maxlength: "300", placeholder: t("plan.output.about"), "aria-label": t("plan.output.about") });
        about.addEventListener("input", keep("description", about));
        const gone = h("button", { type: "button", class: "plain", "aria-label": t("plan.output.remove", { name: output.name }), disabled: task.outputs.length === 1, on: { click: () => edit(() => task.outputs.splice(row, 1), `${id("name")}-${Math.max(row - 1, 0)}`) } }, icon("close"));
        return h("li", { class: "output" }, name, type, about, gone);
      })),
      h("div", {}, h("button", { type: "button", class: "plain", on: { click: () => edit(() => task.outputs.push({ name: "", type: "text", description: "" }), `${id("name")}-${task.outputs.length}`) } }, t("plan.output.add"))));
  }

  /** Another short name for a task, also where others refer to it. */
  function rename(task, name) {
    task.id = name;
    for (const [other, shown] of names) if (other === task) fill(shown, name);
  }

  function drop(task) {
    tasks = tasks.filter((other) => other !== task);
    for (const other of tasks) other.after = other.after.filter((before) => before !== task);
  }

  draw();
  check();
  return {
    root,
    /** What to accept: nothing where the plan is still as it was proposed. */
    source: () => (dirty ? source() : ""),
    stop: () => clearTimeout(timer),
  };
}

/** What a tool does, in the person's words if there are some. */
function toolText(tool) {
  return has(`tool.${tool.name}`) ? t(`tool.${tool.name}`) : tool.description;
}

/** A task as the daemon reads it. */
function written({ more, after, ...task }) {
  return { ...more, ...task, after: after.map(({ id }) => id) };
}

/** The tasks with what a person may change; `after` holds the tasks themselves, whatever they are called. */
function linked(tasks) {
  const found = tasks.map(({ id, goal, each_document: each = false, tools = [], after: _, outputs = [], ...more }) => ({
    id,
    goal,
    each_document: each,
    tools: [...tools],
    after: [],
    outputs: outputs.map((output) => ({ description: "", ...output })),
    more, // what is changed as text only: conditions, order, figures, folders
  }));
  tasks.forEach((task, place) => (found[place].after = found.filter(({ id }) => (task.after ?? []).includes(id))));
  return found;
}
