// Ask: a request in one's own words, the plan that is made of it, and a yes or no to that plan.

import { follow, get, post } from "../api.js";
import { fill, h, icon, say, toast } from "../dom.js";
import { duration, number, t } from "../i18n.js";
import { chooseFolder, head, runLink, told, trouble, upload, waitsForPlan } from "../parts.js";
import { planEditor } from "../plan.js";

const EXAMPLES = ["ask.example.1", "ask.example.2", "ask.example.3"];

export async function show(root, [run], context) {
  return run ? showPlan(root, run) : compose(root, context);
}

// The request

async function compose(root, context) {
  const kept = context.request ?? { text: "", files: [] };
  context.request = kept;
  const problem = h("div", { role: "alert" });
  const listed = h("ul", { class: "files", "aria-label": t("ask.files") });
  const text = h("textarea", { id: "request", class: "words", rows: "4", required: true, minlength: "3", maxlength: "4000", value: kept.text, placeholder: t("ask.placeholder"), "aria-describedby": "request-hint", on: { input: () => (kept.text = text.value) } });
  const input = h("input", { type: "file", multiple: true, hidden: true, on: { change: () => take([...input.files]) } });
  const path = h("input", { id: "path", placeholder: `${context.environment.home}/Invoices`, autocomplete: "off", spellcheck: "false" });
  const start = h("button", { class: "primary" }, t("ask.start"));
  const waiting = h("section", { class: "stack" });

  const refuse = (error) => fill(problem, error && h("div", { class: "note bad" }, icon("alert"), trouble(error)));
  const guarded = async (work) => {
    refuse(null);
    try {
      await work();
    } catch (error) {
      refuse(error);
    }
  };
  const add = (paths) => {
    for (const one of paths) if (one && !kept.files.includes(one)) kept.files.push(one);
    drawFiles();
  };
  const take = (files) => guarded(async () => {
    for (const file of files) add([(await upload(file)).path]);
    input.value = "";
  });
  const pick = () => guarded(async () => {
    if (context.environment.window) add((await post("/ui/choose", { folder: false })).paths);
    else input.click();
  });
  const addPath = () => {
    add([path.value.trim()]);
    path.value = "";
    path.focus();
  };
  const drawFiles = () => fill(listed, kept.files.map((one) => h("li", {}, h("code", {}, one),
    h("button", { type: "button", class: "plain", "aria-label": t("ask.file.remove", { name: one }), on: { click: () => {
      kept.files = kept.files.filter((other) => other !== one);
      drawFiles();
    } } }, icon("close")))));

  const send = (event) => {
    event.preventDefault();
    guarded(async () => {
      start.disabled = true;
      try {
        const run = await post("/v1/ask", { request: text.value, paths: kept.files, show_plan: true });
        context.request = null;
        location.hash = `#ask/${run.id}`;
      } finally {
        start.disabled = false;
      }
    });
  };

  drawFiles();
  fill(
    root,
    head(t("nav.ask"), t("ask.text")),
    problem,
    h("form", { class: "card stack", on: { submit: send } },
      h("div", { class: "field" }, h("label", { for: "request" }, t("ask.request")), text, h("p", { id: "request-hint", class: "small muted" }, t("ask.hint"))),
      h("div", { class: "row chips", role: "group", "aria-label": t("ask.examples") }, EXAMPLES.map((key) => h("button", { type: "button", class: "chip", on: { click: () => {
        kept.text = text.value = t(key);
        text.focus();
      } } }, t(key)))),
      h("div", { class: "field" }, h("span", { class: "label" }, t("ask.files")), listed,
        h("div", { class: "row" },
          h("button", { type: "button", on: { click: pick } }, icon("drop"), t("drop.choose")),
          context.environment.window && h("button", { type: "button", on: { click: () => guarded(async () => add([await chooseFolder(context)])) } }, icon("folder"), t("ask.folder")))),
      input,
      h("div", { class: "field" }, h("label", { for: "path" }, t("ask.path")),
        h("div", { class: "beside-button" }, path, h("button", { type: "button", on: { click: addPath } }, t("ask.path.add")))),
      h("div", { class: "row" }, start)),
    waiting,
  );
  path.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    addPath();
  });
  const { runs } = await get("/v1/runs?limit=100");
  const plans = runs.filter(waitsForPlan);
  if (plans.length) fill(waiting, h("h2", {}, t("ask.waiting")), plans.map((one) => runLink(one)));
}

// The plan

async function showPlan(root, run) {
  let stop = () => {};
  let shown = "";
  const leave = () => stop();
  const draw = async (data) => {
    const stage = stageOf(data);
    if (stage === "thinking") {
      if (shown !== stage) stop = thinking(root, data);
      shown = stage;
      root.dispatchEvent(new CustomEvent("progress", { detail: data }));
      return;
    }
    if (shown === stage) return;
    shown = stage;
    stop();
    stop = () => {};
    if (stage === "plan") stop = await decide(root, data);
    else if (stage === "ended") ended(root, data);
    else location.replace(`#run/${data.id}`);
  };
  await draw(await get(`/v1/runs/${run}/progress?wait=0`));
  const quit = follow((since) => `/v1/runs/${run}/progress?since=${since}&wait=20`, draw);
  return () => {
    quit();
    leave();
  };
}

function stageOf(data) {
  if (waitsForPlan(data)) return "plan";
  if (data.agents.some((agent) => agent.role !== "planner")) return "run";
  if (["failed", "cancelled"].includes(data.state)) return "ended";
  return ["pending", "running"].includes(data.state) ? "thinking" : "run";
}

function request(data) {
  return h("blockquote", { class: "asked" }, data.goal, h("p", { class: "small muted" }, t("ask.over", { count: number(data.documents) })));
}

/** While the model thinks: what it is at, and for how long already. */
function thinking(root, data) {
  const began = data.started ?? data.created;
  const now = h("p", { class: "row", role: "status" });
  const clock = h("p", { class: "small muted" });
  const bar = h("div", { class: "meter busy", role: "progressbar", "aria-label": t("ask.thinking") }, h("span", {}));
  let said = "";
  const tell = (text) => {
    if (text !== said) fill(now, icon("clock"), text);
    said = text;
  };
  const look = async () => {
    const { engine } = await get("/v1/status");
    if (engine.state === "loading") tell(t("ask.loading"));
    else if (said === t("ask.loading")) tell(t("ask.thinking"));
  };
  const tick = () => fill(clock, t("ask.since", { time: duration(Date.now() / 1000 - began) }));
  const progress = (event) => {
    const planner = event.detail.agents.find((agent) => agent.role === "planner");
    tell(planner?.step.endsWith(":1") ? t("ask.again") : t("ask.thinking"));
    look().catch(() => {});
  };
  root.addEventListener("progress", progress);
  const timer = setInterval(tick, 1000);
  tick();
  fill(
    root,
    head(t("ask.thinking.title"), t("ask.thinking.text"), h("button", { type: "button", class: "danger", on: { click: () => discard(data.id, t("ask.stopped")) } }, t("ask.stop"))),
    h("section", { class: "card stack" }, request(data), now, bar, clock),
  );
  return () => {
    clearInterval(timer);
    root.removeEventListener("progress", progress);
  };
}

async function discard(run, words) {
  try {
    await post(`/v1/runs/${run}/cancel`);
    toast(words);
    location.hash = "#ask";
  } catch (error) {
    toast(told(error));
  }
}

async function decide(root, data) {
  const [detail, { tools }] = await Promise.all([get(`/v1/runs/${data.id}`), get("/v1/tools")]);
  const problem = h("div", { role: "alert" });
  const go = h("button", { type: "button", class: "primary", disabled: true, on: { click: accept } }, icon("play"), t("plan.accept"));
  const drop = h("button", { type: "button", class: "danger", on: { click: () => discard(data.id, t("plan.dropped")) } }, t("plan.drop"));
  const editor = planEditor(data.id, detail.plan, tools, data.documents, (ok) => (go.disabled = !ok));

  async function accept() {
    go.disabled = drop.disabled = true;
    try {
      await post(`/v1/runs/${data.id}/plan`, { text: editor.source() });
      location.hash = `#run/${data.id}`;
    } catch (error) {
      fill(problem, h("div", { class: "note bad" }, icon("alert"), trouble(error)));
      go.disabled = drop.disabled = false;
    }
  }

  fill(
    root,
    head(t("plan.head"), t("plan.intro"), drop, go),
    h("section", { class: "card" }, request(data)),
    detail.plan.simplest && h("div", { class: "note warn" }, icon("alert"), h("span", {}, t("plan.simplest"))),
    detail.plan.note && h("p", { class: "small muted" }, detail.plan.note),
    problem,
    editor.root,
    h("p", { class: "small muted" }, t("plan.policy")),
  );
  say(t("plan.said", { count: number(detail.plan.tasks.length) }));
  return editor.stop;
}

function ended(root, data) {
  fill(
    root,
    head(t(`run.state.${data.state}`), "", h("a", { class: "button", href: "#ask" }, t("ask.new"))),
    h("section", { class: "card stack" }, request(data),
      data.error ? h("div", { class: "note bad", role: "alert" }, icon("alert"), trouble(data.error)) : h("p", {}, t("ask.nothing"))),
  );
}
