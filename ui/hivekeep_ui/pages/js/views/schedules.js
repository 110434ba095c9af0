// Schedules: add, see when each is next due, remove.

import { get, post, remove } from "../api.js";
import { fill, h } from "../dom.js";
import { t, when } from "../i18n.js";
import { acting, dialog, empty, head, recipeSelect } from "../parts.js";

export async function show(root, _rest, context) {
  const list = h("div", { class: "stack" });
  const add = h("button", { type: "button", class: "primary", on: { click: () => addSchedule() } }, t("schedules.add"));
  fill(root, head(t("nav.schedules"), t("schedules.text"), add), list);

  async function draw() {
    const { schedules } = await get("/v1/schedules");
    fill(list, schedules.length ? schedules.map(card) : empty("clock", t("schedules.none"), t("schedules.none.text")));
  }

  const act = acting(draw);

  const card = (schedule) => h(
    "article",
    { class: "card stack" },
    h("div", { class: "row spread" }, h("h2", {}, schedule.title || schedule.recipe), h("span", { class: "badge info" }, t("schedules.next", { time: when(schedule.next) }))),
    h("dl", { class: "facts" },
      h("dt", {}, t("schedules.when")), h("dd", {}, h("code", {}, schedule.cron)),
      h("dt", {}, t("folders.recipe")), h("dd", {}, schedule.recipe),
      h("dt", {}, t("schedules.paths")), h("dd", {}, schedule.paths.join(", "))),
    h("div", { class: "row" }, h("button", { type: "button", class: "danger", on: { click: act(() => remove(`/v1/schedules/${schedule.id}`)) } }, t("schedules.remove"))),
  );

  async function addSchedule() {
    const recipes = await recipeSelect(context.environment.settings.recipe);
    dialog(t("schedules.add"), (close) => {
      const cron = h("input", { id: "cron", required: true, value: "0 8 * * mon-fri", "aria-describedby": "cron-hint" });
      const path = h("input", { id: "path", required: true, placeholder: `${context.environment.home}/Inbox` });
      return h("form", { class: "stack", on: { submit: async (event) => {
        event.preventDefault();
        await act(async () => {
          await post("/v1/schedules", { recipe: recipes.value, cron: cron.value, paths: [path.value] });
          close();
        })();
      } } },
        h("div", { class: "field" }, h("label", { for: "cron" }, t("schedules.when")), cron, h("p", { id: "cron-hint", class: "small muted" }, t("schedules.hint"))),
        h("div", { class: "field" }, h("label", { for: "recipe" }, t("folders.recipe")), recipes),
        h("div", { class: "field" }, h("label", { for: "path" }, t("schedules.paths")), path),
        h("div", { class: "row" }, h("button", { class: "primary" }, t("schedules.add")), h("button", { type: "button", on: { click: close } }, t("action.cancel"))));
    });
  }
  await draw();
}
