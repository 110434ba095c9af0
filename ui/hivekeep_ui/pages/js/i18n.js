// Words, numbers and dates in the person's language.

import en from "./strings/en.js";
import zh from "./strings/zh-CN.js";

const LANGUAGES = { en, "zh-CN": zh };
let chosen = "en";
let locale = "en";

/** Choose by the setting, else by the system. */
export function choose(setting) {
  const wished = setting && setting !== "auto" ? setting : navigator.language;
  chosen = wished.toLowerCase().startsWith("zh") ? "zh-CN" : "en";
  locale = setting && setting !== "auto" ? chosen : wished;
  document.documentElement.lang = chosen;
}

/** The language in use: `en` or `zh-CN`. */
export const language = () => chosen;

/** The text for `key`, with `{name}` replaced. */
export function t(key, values = {}) {
  const text = LANGUAGES[chosen][key] ?? en[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (_, name) => String(values[name] ?? ""));
}

/** Whether there is a text for `key`. */
export const has = (key) => key in en;

export const number = (value) => new Intl.NumberFormat(locale).format(value);

export function when(seconds) {
  if (!seconds) return "";
  const moment = new Date(seconds * 1000);
  const today = new Date().toDateString() === moment.toDateString();
  const style = today ? { timeStyle: "short" } : { dateStyle: "medium", timeStyle: "short" };
  return new Intl.DateTimeFormat(locale, style).format(moment);
}

export function bytes(count) {
  const units = ["byte", "kilobyte", "megabyte", "gigabyte"];
  let step = 0;
  let value = count;
  while (value >= 1000 && step < units.length - 1) {
    value /= 1000;
    step += 1;
  }
  const options = { style: "unit", unit: units[step], unitDisplay: "short", maximumFractionDigits: step ? 1 : 0 };
  return new Intl.NumberFormat(locale, options).format(value);
}

export function duration(seconds) {
  const unit = (value, name) =>
    new Intl.NumberFormat(locale, { style: "unit", unit: name, unitDisplay: "short", maximumFractionDigits: 0 }).format(value);
  if (seconds < 60) return unit(Math.max(Math.round(seconds), 0), "second");
  if (seconds < 3600) return `${unit(Math.floor(seconds / 60), "minute")} ${unit(Math.round(seconds % 60), "second")}`;
  return `${unit(Math.floor(seconds / 3600), "hour")} ${unit(Math.floor((seconds % 3600) / 60), "minute")}`;
}
