// One request for an approval, shown in full, with its answers. Used by the popup and the dashboard.

import { post } from "./api.js";
import { h, icon } from "./dom.js";
import { bytes, t, when } from "./i18n.js";
import { spoken, summary } from "./said.js";

/** Milliseconds in which a click right after something new has appeared does not count. */
export const GUARD = 700;

const ALLOWING = new Set(["once", "run", "always"]);

/** Everything a person has to know before answering. */
export function details(item, { heading = "h1" } = {}) {
  const { decision, asker, proposal, said = {} } = item;
  const below = heading === "h1" ? "h2" : "h3";
  const section = (title, ...content) => part(below, title, ...content);
  return h(
    "article",
    { class: "request", "aria-labelledby": "what" },
    h(heading, { id: "what", class: "title", tabindex: "-1" }, summary(item)),
    h(
      "div",
      { class: `risk ${decision.risk}` },
      icon("alert"),
      h("div", {}, h("strong", {}, t(`risk.${decision.risk}`)), spoken(item.risk_text, said.risk)),
    ),
    preview(proposal.preview, section),
    section("approval.who", facts([
      [t("approval.run"), asker.title ? `${asker.title} (${asker.run})` : asker.run],
      [t("approval.recipe"), asker.recipe],
      [t("approval.document"), asker.document],
      [t("approval.agent"), asker.agent],
    ])),
    proposal.passages.length > 0 && section("approval.read", passages(proposal.passages)),
    section("approval.why", facts([
      [t("approval.reason"), spoken(decision.reason, said.reason)],
      [t("approval.rule"), h("code", {}, decision.rule)],
      [t("approval.source"), decision.source],
      [t("approval.scope"), spoken(item.scope, said.scope)],
      [t("approval.until"), when(item.expires)],
      [t("approval.hash"), h("code", {}, item.digest)],
    ])),
  );
}

function part(heading, title, ...content) {
  return h("section", { class: "section" }, h(heading, { class: "over" }, t(title)), content);
}

function facts(rows) {
  const shown = rows.filter(([, value]) => value);
  return h("dl", { class: "facts" }, shown.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
}

function passages(found) {
  return h(
    "div",
    { class: "stack" },
    h("p", { class: "small muted" }, t("approval.read.note")),
    found.map((passage) =>
      h("blockquote", { class: "passage" }, passage.text, h("cite", {}, `${passage.origin} · ${t(`label.${passage.label}`)}`)),
    ),
  );
}

function preview(shown, section) {
  const parts = [];
  if (shown.files.length) parts.push(section("approval.files", shown.files.map(fileChange)));
  for (const text of shown.texts) {
    parts.push(section("approval.diff", h("p", { class: "mono small" }, text.path), diff(text)));
  }
  if (shown.message) parts.push(section("approval.message", message(shown.message)));
  if (shown.form) parts.push(section("approval.form", form(shown.form)));
  if (shown.command) parts.push(section("approval.command", command(shown.command)));
  if (shown.note) parts.push(h("p", { class: "small muted" }, shown.note));
  return parts;
}

function fileChange({ change, before, after }) {
  const side = (title, state) =>
    h(
      "div",
      {},
      h("div", { class: "small muted" }, title),
      h("div", { class: "path" }, state.path),
      h("div", { class: "small" }, state.exists ? fileFacts(state) : t("file.absent")),
    );
  return h(
    "div",
    { class: "change" },
    side(t("file.before"), before),
    h("span", { class: "arrow" }, icon("arrow"), h("span", { class: "hush" }, t(`change.${change}`))),
    side(t(`change.${change}`), after),
  );
}

function fileFacts(state) {
  return [bytes(state.size), state.modified ? when(state.modified) : ""].filter(Boolean).join(" · ");
}

function diff(text) {
  const kind = (line) => (line.startsWith("+") ? "plus" : line.startsWith("-") ? "minus" : undefined);
  return h(
    "pre",
    { class: "diff", tabindex: "0", "aria-label": t("approval.diff") },
    text.lines.map((line) => h("span", { class: kind(line) }, line)),
    text.left_out > 0 && h("span", {}, t("diff.left_out", { count: text.left_out })),
  );
}

function message(shown) {
  return [
    facts([
      [t("message.to"), shown.to.join(", ")],
      [t("message.subject"), shown.subject],
      [t("message.attachments"), shown.attachments.join(", ")],
    ]),
    h("pre", { class: "body", tabindex: "0", "aria-label": t("message.body") }, shown.body),
  ];
}

function form(shown) {
  return [
    facts([[t("form.site"), shown.site], [t("form.url"), shown.url]]),
    h("div", { class: "scroll" }, h("table", {},
      h("thead", {}, h("tr", {}, h("th", {}, t("form.field")), h("th", {}, t("form.value")))),
      h("tbody", {}, shown.fields.map(([name, value]) => h("tr", {}, h("td", {}, name), h("td", {}, value)))),
    )),
  ];
}

function command(shown) {
  return [
    h("pre", { class: "command", tabindex: "0", "aria-label": t("approval.command") }, shown.arguments.map((part) => h("span", {}, `${part} `))),
    shown.folder && h("p", { class: "small muted" }, shown.folder),
  ];
}

/**
 * The buttons. They act only after the guard's time, so that a click or key that was meant for
 * whatever was on the screen before answers nothing.
 */
export function answers(items, { via, done, failed }) {
  const ready = performance.now() + GUARD;
  const [first] = items;
  const many = items.length > 1;
  const give = async (answer) => {
    if (performance.now() < ready) return;
    for (const button of root.querySelectorAll("button")) button.setAttribute("aria-disabled", "true");
    try {
      const body = { answer, via, approvals: items.map(({ id, digest }) => ({ id, digest })) };
      const { answers: said } = await post("/v1/approvals/answers", body);
      const refused = said.filter((one) => !one.ok);
      if (refused.length) failed(refused[0].error);
      done(answer, items);
    } catch (error) {
      failed(error);
      for (const button of root.querySelectorAll("button")) button.removeAttribute("aria-disabled");
    }
  };
  const button = (answer, kind, key) =>
    h(
      "button",
      {
        class: kind,
        type: "button",
        "aria-disabled": ALLOWING.has(answer) ? "true" : undefined,
        "aria-keyshortcuts": key ? `Alt+${key}` : undefined,
        data: { answer },
        on: { click: (event) => event.currentTarget.getAttribute("aria-disabled") !== "true" && give(answer) },
      },
      many ? t(`answer.${answer}.many`, { count: items.length }) : t(`answer.${answer}`),
      key && h("kbd", { "aria-hidden": "true" }, `Alt ${key}`),
    );
  const root = h(
    "div",
    { class: "answers", role: "group", "aria-label": t("answer.group") },
    h("div", { class: "guard" }, h("span", {})),
    h(
      "div",
      { class: "pair" },
      button("deny", "", "D"),
      button("once", "primary", "A"),
    ),
    h(
      "div",
      { class: "pair" },
      first.asker.run && button("deny_stop", "danger", "S"),
      first.asker.run && button("run", "", "R"),
      first.may_always && button("always", "", ""),
    ),
  );
  setTimeout(() => {
    for (const one of root.querySelectorAll("button[data-answer]")) one.removeAttribute("aria-disabled");
    root.dataset.ready = "true";
  }, GUARD);
  return { root, give };
}

/** Alt+letter for the answers that are on the screen. */
export function keys(give, allowed) {
  const map = { a: "once", d: "deny", r: "run", s: "deny_stop" };
  return (event) => {
    const answer = event.altKey && !event.repeat ? map[event.key.toLowerCase()] : undefined;
    if (!answer || !allowed(answer)) return;
    event.preventDefault();
    give(answer);
  };
}
