// The daemon's own sentences in the person's language: by their ids where the API gives them and
// there is a translation, else the English text that comes with them.

import { language, t } from "./i18n.js";
import chinese from "./strings/daemon.zh-CN.js";

const TABLES = { "zh-CN": chinese };

/** The sentence `text`, of which the API says `said`: id and values, or parts. */
export function spoken(text, said) {
  const table = TABLES[language()];
  return table && said ? sentence(said, table) : text;
}

function sentence(said, table) {
  if (typeof said === "string") return said;
  if (said.parts) return said.parts.map((part) => sentence(part, table)).join("");
  const template = table[said.id];
  if (template === undefined) return said.text;
  return template.replace(/\{(\w+)\}/g, (_, name) => value(name, said.values[name], table));
}

function value(name, given, table) {
  if (given === undefined) return "";
  if (typeof given !== "string") return name === "kind" ? word("kind", given.text, table) : sentence(given, table);
  if (name === "kind") return word("kind", given, table);
  if (name === "risk") return word("level", given, table);
  if (name === "take" || name === "work") return word(name, given, table);
  if (name === "type") return t(`type.${given}`);
  return name === "state" ? t(`run.state.${given}`) : given;
}

const word = (group, name, table) => table[`${group}.${name.replaceAll(" ", "_")}`] ?? name;

/** What happened, why, and what to do next: of an error, or of a sub-agent's failure. */
export function explained(error) {
  const said = error.said ?? {};
  const table = TABLES[language()];
  const what = error.what || error.message || "";
  const next = error.next || error.next_step || "";
  if (table?.[`reason.${error.reason}`]) {
    return { what: table[`reason.${error.reason}`], why: "", next: table[`reason.${error.reason}.next`] ?? next };
  }
  if (error.code === "daemon" && table) return { what: t("error.daemon"), why: "", next: "" };
  return { what: spoken(what, said.what), why: spoken(error.why ?? "", said.why), next: spoken(next, said.next) };
}

/** A failure's short reason. */
export function reason(name) {
  return TABLES[language()]?.[`reason.${name}`] ?? name;
}

/** What an approval is about, in one line. */
export function summary(item) {
  return spoken(item.summary, item.said?.summary);
}
