// What several views are made of.

import { call, get, post, put } from "./api.js";
import { fill, h, icon, toast } from "./dom.js";
import { duration, number, t, when } from "./i18n.js";
import { explained } from "./said.js";

/** A view's title, a sentence, and its buttons. */
export function head(title, text, ...buttons) {
  return h("header", { class: "head" }, h("div", {}, h("h1", {}, title), text && h("p", { class: "muted" }, text)), h("div", { class: "row" }, buttons));
}

/** A place where nothing is yet, with what to do about it. */
export function empty(symbol, title, text, ...more) {
  return h("div", { class: "card empty" }, icon(symbol), h("h2", {}, title), h("p", {}, text), more);
}

/** An error in one line. */
export function told(error) {
  const { what, why } = explained(error);
  return [what, why].filter(Boolean).join(" ");
}

/** Handlers that do some work and then `draw` what has become of it, or say why it failed. */
export function acting(draw) {
  return (work) => async () => {
    try {
      await work();
      await draw();
    } catch (error) {
      toast(told(error));
    }
  };
}

/** An error with its cause and what to do next. */
export function trouble(error) {
  const { what, why, next } = explained(error);
  return h("div", {}, h("strong", {}, what), why && h("p", {}, why), next && h("p", {}, next),
    error.code === "model" && h("p", {}, h("a", { href: "#models" }, t("models.look"))));
}

/** Whether a free request's plan waits for a person. */
export function waitsForPlan(run) {
  return run.state === "paused" && run.paused_for === "plan";
}

/** A run as a link with its progress. */
export function runLink(run) {
  const waits = waitsForPlan(run);
  const done = run.done ?? ["done", "failed", "cancelled"].reduce((sum, state) => sum + (run.counts?.[state] ?? 0), 0);
  const active = run.state === "running" || run.state === "pending";
  return h(
    "a",
    { class: "run-link", href: `#${waits ? "ask" : "run"}/${run.id}` },
    h("div", { class: "row spread" }, h("strong", {}, run.title), waits ? h("span", { class: "badge warn" }, t("plan.waits")) : stateBadge(run.state)),
    active && meter(done, run.documents, run.title),
    h(
      "div",
      { class: "small muted" },
      [
        waits ? "" : t("run.documents", { done: number(done), count: number(run.documents) }),
        run.seconds_left ? t("run.left", { time: duration(run.seconds_left) }) : "",
        run.needs_review ? t("run.review", { count: number(run.needs_review) }) : "",
        run.created ? when(run.created) : "",
      ].filter(Boolean).join(" · "),
    ),
  );
}

const KINDS = { finished: "good", failed: "bad", cancelled: "", running: "info", pending: "info", paused: "warn" };

/** A run's state as a word in colour. */
export function stateBadge(state) {
  return h("span", { class: `badge ${KINDS[state] ?? ""}` }, t(`run.state.${state}`));
}

/** A progress bar that assistive technology can read. */
export function meter(done, count, label) {
  const bar = h("span", {});
  bar.style.transform = `scaleX(${count ? done / count : 0})`;
  return h(
    "div",
    { class: "meter", role: "progressbar", "aria-valuemin": "0", "aria-valuemax": count, "aria-valuenow": done, "aria-label": label },
    bar,
  );
}

/**
 * A select of all recipes that can be used. If `chosen` is none of them it says so and has no value,
 * so that no other recipe takes its place unseen.
 */
export async function recipeSelect(chosen, id = "recipe") {
  const { recipes } = await get("/v1/recipes");
  const usable = recipes.filter((recipe) => !recipe.problem);
  const lost = !usable.some((recipe) => recipe.name === chosen);
  return h(
    "select",
    { id, name: "recipe", required: true },
    lost && h("option", { value: "", selected: true, disabled: true }, t("drop.recipe.lost", { name: chosen })),
    usable.map((recipe) => h("option", { value: recipe.name, selected: recipe.name === chosen }, recipe.title || recipe.name)),
  );
}

let choosing = false;

/** Where files can be dropped; calls `started` with the run. */
export async function dropZone(context, started) {
  const recipes = await recipeSelect(context.environment.settings.recipe);
  recipes.setAttribute("aria-label", t("drop.recipe"));
  const input = h("input", { type: "file", multiple: true, hidden: true, on: { change: () => take([...input.files]) } });
  const text = h("p", { class: "muted", role: "status" }, t("drop.text"));
  const zone = h(
    "div",
    { class: "drop" },
    icon("drop"),
    h("h2", {}, t("drop.title")),
    text,
    h(
      "div",
      { class: "row" },
      recipes,
      h("button", { type: "button", class: "primary", on: { click: choose } }, t("drop.choose")),
      context.environment.window && h("button", { type: "button", on: { click: paste } }, t("drop.clipboard")),
    ),
    input,
  );
  const over = (event) => {
    event.preventDefault();
    zone.classList.add("dragging");
  };
  zone.addEventListener("dragenter", over);
  zone.addEventListener("dragover", over);
  zone.addEventListener("dragleave", () => zone.classList.remove("dragging"));
  zone.addEventListener("drop", (event) => {
    event.preventDefault();
    zone.classList.remove("dragging");
    take([...event.dataTransfer.files]);
  });

  // In the window the system's dialog gives paths, so nothing is copied; a browser gives content.
  async function choose() {
    if (!context.environment.window) return input.click();
    if (choosing) return;
    choosing = true;
    try {
      const { paths } = await post("/ui/choose", { folder: false });
      if (paths.length) await begin(paths, paths.length === 1 ? paths[0].split("/").pop() : "");
    } catch (error) {
      toast([error.what || error.message, error.why].filter(Boolean).join(" "));
    } finally {
      choosing = false;
    }
  }

  async function take(files) {
    if (!files.length) return;
    try {
      const paths = [];
      for (const [index, file] of files.entries()) {
        text.textContent = t("drop.copying", { name: file.name, done: number(index + 1), count: number(files.length) });
        const { path } = await upload(file);
        paths.push(path);
      }
      await begin(paths, files.length === 1 ? files[0].name : "");
    } catch (error) {
      toast(told(error));
    } finally {
      text.textContent = t("drop.text");
      input.value = "";
    }
  }

  async function paste() {
    try {
      const { path } = await post("/ui/clipboard");
      await begin([path], t("drop.clipboard"));
    } catch (error) {
      toast(told(error));
    }
  }

  async function begin(paths, title) {
    if (!recipes.value) {
      recipes.focus();
      return toast(t("drop.recipe.choose"));
    }
    started(await post("/v1/runs", { recipe: recipes.value, paths, title }));
  }
  zone.paste = paste;
  zone.choose = choose;
  context.take = take;
  return zone;
}

/** Hand a file over; returns where it is now. */
export async function upload(file) {
  return call("PUT", `/ui/upload?name=${encodeURIComponent(file.name)}`, file);
}

/** A dialog that is gone when it is closed; `build` gets a function that closes it. */
export function dialog(title, build) {
  const shown = h("dialog", { "aria-label": title });
  const close = () => shown.close();
  fill(shown, h("div", { class: "stack" }, h("h2", {}, title), build(close)));
  shown.addEventListener("close", () => shown.remove());
  document.body.append(shown);
  shown.showModal();
  return shown;
}

/** Let a person choose a folder, in the window, else by typing. */
export async function chooseFolder(context) {
  if (!context.environment.window) return "";
  const { paths } = await post("/ui/choose", { folder: true });
  return paths[0] ?? "";
}

/** Save settings and obey them. */
export async function saveSettings(context, changes) {
  context.environment.settings = await put("/ui/settings", changes);
  return context.environment.settings;
}
