// Builds elements. Every string becomes a text node or an attribute value, never markup: there is no
// way here to insert HTML, and the page's policy (Trusted Types) would refuse it.

const SVG = "http://www.w3.org/2000/svg";
const ATTRIBUTES_WITH_URLS = new Set(["href", "src"]);

/** An HTML element. `props.on` holds listeners, `props.data` data attributes. */
export function h(tag, props = {}, ...children) {
  return build(document.createElement(tag), props, children);
}

/** An SVG element. */
export function svg(tag, props = {}, ...children) {
  return build(document.createElementNS(SVG, tag), props, children);
}

function build(element, props, children) {
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "on") {
      for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener);
    } else if (name === "data") {
      for (const [key, text] of Object.entries(value)) element.dataset[key] = text;
    } else if (name === "value" || name === "checked" || name === "disabled") {
      element[name] = value;
    } else {
      element.setAttribute(name, value === true ? "" : safeValue(name, String(value)));
    }
  }
  element.append(...flat(children));
  return element;
}

function safeValue(name, value) {
  if (ATTRIBUTES_WITH_URLS.has(name) && !/^[#/]/.test(value)) throw new Error("a link leads outside");
  if (name.startsWith("on")) throw new Error("listeners are given as functions");
  return value;
}

function flat(children) {
  return children
    .flat(4)
    .filter((child) => child !== null && child !== undefined && child !== false)
    .map((child) => (child instanceof Node ? child : document.createTextNode(String(child))));
}

/** Replace everything inside `root`. */
export function fill(root, ...children) {
  root.replaceChildren(...flat(children));
}

const PATHS = {
  hive: "M12 2.5 20 7v10l-8 4.5L4 17V7zM12 8l4 2.2v4.6L12 17l-4-2.2v-4.6z",
  home: "M4 11.5 12 5l8 6.5V20h-5.5v-5h-5v5H4z",
  ask: "M4 5.5h16v10.5h-8.5L7 20v-4H4zM8.5 9.5h7M8.5 12.5h4.5",
  runs: "M5 6h14M5 12h14M5 18h9",
  shield: "M12 3 5 6v5.5c0 4.4 3 7.6 7 9.5 4-1.9 7-5.1 7-9.5V6z",
  folder: "M3.5 7a1.5 1.5 0 0 1 1.5-1.5h4l2 2.2h8A1.5 1.5 0 0 1 20.5 9.200V17A1.5 1.5 0 0 1 19 18.5H5A1.5 1.5 0 0 1 3.5 17z",
  clock: "M12 7.5V12l3 2M12 3.5a8.5 8.5 0 1 1 0 17 8.5 8.5 0 0 1 0-17z",
  recipe: "M6 4h9l3 3v13H6zM9 11h6M9 15h6M9 8h3",
  model: "M8 8h8v8H8zM12 3v3M12 18v3M3 12h3M18 12h3M6 6l1 1M17 17l1 1M18 6l-1 1M7 17l-1 1",
  audit: "M8 4h8v3H8zM6 6H5v15h14V6h-1M9 13l2 2 4-4",
  pulse: "M3 12h4l2.5-6 4 12 2.5-6h5",
  gear: "M12 9a3 3 0 1 1 0 6 3 3 0 0 1 0-6zM12 3v2.5M12 18.5V21M3 12h2.5M18.5 12H21M5.600 5.600l1.800 1.800M16.600 16.600l1.800 1.800M18.400 5.600l-1.800 1.800M7.400 16.600l-1.800 1.800",
  check: "M5 12.5 10 17l9-10",
  alert: "M12 4 21 19.5H3zM12 10v4M12 16.600v.4",
  drop: "M12 4v10M8 10.5 12 14.5l4-4M4.5 17v2.5h15V17",
  arrow: "M5 12h13M13 7l5 5-5 5",
  pause: "M8 6v12M16 6v12",
  play: "M8 5.5 18 12 8 18.5z",
  close: "M6 6l12 12M18 6 6 18",
  rule: "M12 3v18M6 7h12M6 7l-2.5 6h5zM18 7l-2.5 6h5z",
};

/** One of our line icons; decorative, so hidden from assistive technology. */
export function icon(name) {
  return svg("svg", { class: "icon", viewBox: "0 0 24 24", "aria-hidden": "true" }, svg("path", { d: PATHS[name] }));
}

/** Our mark. */
export function mark() {
  return svg(
    "svg",
    { viewBox: "0 0 32 32", "aria-hidden": "true" },
    svg("path", { d: "M16 2 28 9v14l-12 7L4 23V9z", fill: "#e39a1f" }),
    svg("path", { d: "M16 9.5l5.700 3.250v6.5L16 22.5l-5.700-3.250v-6.5z", fill: "#3b2405" }),
  );
}

const SHAPES = {
  waiting: { d: "M12 4a8 8 0 1 1 0 16 8 8 0 0 1 0-16z", fill: "none" },
  reading: { d: "M5 5h14v14H5z" },
  thinking: { d: "M12 2.5 21.5 12 12 21.5 2.5 12z" },
  checking: { d: "M12 3.5 21.5 20H2.5z" },
  acting: { d: "M12 2.5 21 9.2 17.5 20h-11L3 9.200z" },
  done: { d: "M4 12.5l5.5 5.5L20.5 6", fill: "none", width: 3.6 },
  failed: { d: "M5 5l14 14M19 5 5 19", fill: "none", width: 3.6 },
  cancelled: { d: "M4 12h16", fill: "none", width: 3.6 },
};

/** What stands for an agent's state, in a square of 24: an outline, whether it is filled, its stroke. */
export function glyph(state) {
  const chosen = SHAPES[state] ?? SHAPES.waiting;
  return { d: chosen.d, filled: chosen.fill !== "none", width: chosen.width ?? (chosen.fill ? 2.4 : 0) };
}

/** The shape that stands for an agent's state; colour comes from the class `state-…`. */
export function shape(state) {
  const { d, filled, width } = glyph(state);
  return svg(
    "svg",
    { viewBox: "0 0 24 24", "aria-hidden": "true" },
    svg("path", {
      d,
      fill: filled ? "currentColor" : "none",
      "stroke-width": width,
      "stroke-linecap": "round",
      "stroke-linejoin": "round",
    }),
  );
}

export const STATES = Object.keys(SHAPES);

/** Tell a screen reader, without moving the focus. */
export function say(text) {
  const place = document.getElementById("said");
  if (place) place.textContent = text;
}

/** A short message at the bottom of the window, for the eye; a screen reader is told the same. */
export function toast(text) {
  const place = document.getElementById("toast");
  if (!place) return say(text);
  const shown = h("p", {}, text);
  place.replaceChildren(shown);
  say(text);
  setTimeout(() => shown.remove(), 5000);
}
