// Approvals: what waits, what was answered, and lasting answers.

import { answers, details } from "../approval.js";
import { get, remove } from "../api.js";
import { fill, h, icon, toast } from "../dom.js";
import { number, t, when } from "../i18n.js";
import { empty, head, told } from "../parts.js";
import { summary } from "../said.js";

export async function show(root, [chosen], context) {
  const waiting = h("div", { class: "stack" });
  const past = h("section", { class: "card stack" });
  const lasting = h("section", { class: "card stack" });
  fill(root, head(t("nav.approvals"), t("approvals.text")), waiting, lasting, past);
  let drawn = null;
  const draw = async () => {
    const { approvals } = await get("/v1/approvals?state=all&limit=60");
    const { grants } = await get("/v1/approvals/grants");
    const key = JSON.stringify([approvals.map((item) => [item.id, item.state]), grants.map((grant) => grant.id)]);
    if (key === drawn) return;
    drawn = key;
    const pending = approvals.filter((item) => item.state === "pending").reverse();
    fill(waiting, pending.length ? groups(pending).map((items) => card(items, chosen)) : empty("check", t("popup.none"), t("popup.none.text")));
    fill(past, h("h2", {}, t("approvals.past")), history(approvals.filter((item) => item.state !== "pending")));
    fill(lasting, h("h2", {}, t("approvals.lasting")), lastingList(grants));
  };
  const card = (items, wished) => {
    const state = { shown: items.find((item) => item.id === wished) ?? items[0], together: false };
    const place = h("article", { class: "card stack" });
    const redraw = () => {
      const buttons = answers(state.together ? items : [state.shown], {
        via: "dashboard",
        done: (answer) => {
          toast(t(`said.${answer}`));
          draw();
        },
        failed: (error) => toast(told(error)),
      });
      fill(
        place,
        items.length > 1 && h("div", { class: "row" },
          h("label", { class: "check" }, h("input", { type: "checkbox", checked: state.together, on: { change: (event) => {
            state.together = event.target.checked;
            redraw();
          } } }), t("popup.together", { count: number(items.length) })),
          h("select", { "aria-label": t("popup.queue"), on: { change: (event) => {
            state.shown = items.find((item) => item.id === event.target.value);
            redraw();
          } } }, items.map((item) => h("option", { value: item.id, selected: item === state.shown }, summary(item))))),
        details(state.shown, { heading: "h2" }),
        buttons.root,
      );
    };
    redraw();
    return place;
  };
  const lastingList = (grants) => grants.length
    ? h("ul", { class: "stack" }, grants.map((grant) => h("li", { class: "row spread" },
        h("span", {}, grant.scope, " ", h("span", { class: "badge" }, grant.run ? t("grant.run", { run: grant.run }) : t("grant.recipe", { recipe: grant.recipe }))),
        h("button", { type: "button", on: { click: async () => {
          await remove(`/v1/approvals/grants/${grant.id}`);
          draw();
        } } }, t("grant.revoke")))))
    : h("p", { class: "muted" }, t("approvals.lasting.none"));
  context.listeners.add(draw);
  await draw();
  return () => context.listeners.delete(draw);
}

function groups(items) {
  const found = new Map();
  for (const item of items) found.set(item.group, [...(found.get(item.group) ?? []), item]);
  return [...found.values()];
}

const BADGES = { approved: "good", denied: "bad", expired: "warn", withdrawn: "" };

function history(items) {
  if (!items.length) return h("p", { class: "muted" }, t("approvals.past.none"));
  return h("div", { class: "scroll" }, h("table", { class: "fold" },
    h("thead", {}, h("tr", {}, ["what", "answer", "by", "at"].map((word) => h("th", { scope: "col" }, t(`past.${word}`))))),
    h("tbody", {}, items.map((item) => h("tr", {},
      h("td", {}, summary(item)),
      h("td", {}, h("span", { class: `badge ${BADGES[item.state]}` }, item.state === "approved" ? icon("check") : null, t(`approval.state.${item.state}`))),
      h("td", {}, item.verdict.by),
      h("td", {}, when(item.verdict.at)))))));
}
