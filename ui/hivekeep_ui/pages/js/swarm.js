// The live swarm: a cell for each sub-agent. The cells are buttons, for keys and assistive
// technology; what they show is painted on one canvas above them, only where something changed and
// at most once a frame. So a change of 300 states costs neither style nor layout.

import { glyph, h, shape, STATES } from "./dom.js";
import { number, t } from "./i18n.js";

// The part of a cell that its shape takes.
const SHARE = 0.68;

/** The grid and its legend; `update(agents)` takes the newest states, `stop()` ends it. */
export function swarm(choose) {
  const cells = new Map();
  const counts = new Map();
  let wanted = null;
  let frame = 0;
  let whole = true;
  let places = [];
  const canvas = h("canvas", { "aria-hidden": "true" });
  const paint = canvas.getContext("2d");
  const sprites = new Map();
  const grid = h("div", { class: "swarm", role: "group", "aria-label": t("swarm.label"), on: { keydown: move, click: pick } }, canvas);
  const marks = new Map();
  const legend = h("ul", { class: "legend", "aria-label": t("swarm.legend") }, STATES.map((state) => {
    const count = h("span", { class: "word count" }, number(0));
    const mark = h("li", { class: `state-${state}` }, shape(state), h("span", { class: "word" }, t(`agent.${state}`)), count);
    counts.set(state, count);
    marks.set(state, mark);
    return mark;
  }));

  const size = new ResizeObserver(anew);
  size.observe(grid);
  const theme = new MutationObserver(anew);
  theme.observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
  const contrast = window.matchMedia("(forced-colors: active)");
  contrast.addEventListener("change", anew);

  function pick(event) {
    const cell = event.target.closest("button");
    if (cell) choose(cell.dataset.agent);
  }

  function move(event) {
    const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns(), ArrowUp: -columns() };
    if (!(event.key in steps)) return;
    const all = [...grid.querySelectorAll("button")];
    const next = all[all.indexOf(document.activeElement) + steps[event.key]];
    if (!next) return;
    event.preventDefault();
    for (const cell of all) if (cell.tabIndex === 0) cell.tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  }

  const columns = () => getComputedStyle(grid).gridTemplateColumns.split(" ").length;

  function update(agents) {
    wanted = agents;
    ask();
  }

  /** Sizes or colours are others now: paint all of it anew. */
  function anew() {
    whole = true;
    ask();
  }

  function ask() {
    if (!frame && wanted) frame = requestAnimationFrame(apply);
  }

  function apply() {
    frame = 0;
    const changed = take();
    if (whole) measure();
    const some = whole ? cells.values() : changed;
    for (const cell of some) draw(cell);
    whole = false;
  }

  /** Take the newest states in; returns the cells that changed. */
  function take() {
    const sums = Object.fromEntries(STATES.map((state) => [state, 0]));
    const fresh = [];
    const changed = [];
    for (const agent of wanted) {
      sums[agent.state] += 1;
      const cell = cells.get(agent.id);
      if (!cell) fresh.push(create(agent));
      else if (cell.state !== agent.state) {
        cell.state = agent.state;
        cell.button.setAttribute("aria-label", label(agent));
        changed.push(cell);
      }
    }
    if (fresh.length) {
      grid.append(...fresh);
      whole = true;
    }
    for (const [state, count] of counts) {
      const text = number(sums[state]);
      if (count.firstChild.data !== text) count.firstChild.data = text;
    }
    return changed;
  }

  function create(agent) {
    const button = h("button", {
      type: "button",
      tabindex: cells.size === 0 ? "0" : "-1",
      "aria-label": label(agent),
      title: agent.name,
      data: { agent: agent.id },
    });
    cells.set(agent.id, { button, state: agent.state, index: cells.size });
    return button;
  }

  /** Where the cells are, how large, and in which colours; the only place that asks for layout. */
  function measure() {
    const ratio = window.devicePixelRatio || 1;
    const { clientWidth: width, clientHeight: height } = grid;
    canvas.width = Math.max(Math.round(width * ratio), 1);
    canvas.height = Math.max(Math.round(height * ratio), 1);
    places = [...cells.values()].map(({ button }) => [button.offsetLeft, button.offsetTop, button.offsetWidth]);
    paint.setTransform(ratio, 0, 0, ratio, 0, 0);
    const side = places.length ? places[0][2] : 0;
    for (const [state, mark] of marks) sprites.set(state, sprite(state, side * SHARE, ratio, getComputedStyle(mark).color));
  }

  function sprite(state, side, ratio, colour) {
    const drawn = document.createElement("canvas");
    drawn.width = drawn.height = Math.max(Math.round(side * ratio), 1);
    const context = drawn.getContext("2d");
    context.scale(drawn.width / 24, drawn.height / 24);
    const { d, filled, width } = glyph(state);
    const path = new Path2D(d);
    context.strokeStyle = context.fillStyle = colour;
    context.lineWidth = width;
    context.lineCap = context.lineJoin = "round";
    if (filled) context.fill(path);
    if (width) context.stroke(path);
    return drawn;
  }

  function draw(cell) {
    const place = places[cell.index];
    if (!place) return;
    const [left, top, side] = place;
    const inset = (side * (1 - SHARE)) / 2;
    paint.clearRect(left, top, side, side);
    paint.drawImage(sprites.get(cell.state), left + inset, top + inset, side * SHARE, side * SHARE);
  }

  function stop() {
    cancelAnimationFrame(frame);
    size.disconnect();
    theme.disconnect();
    contrast.removeEventListener("change", anew);
  }

  const label = (agent) => `${agent.name}: ${t(`agent.${agent.state}`)}`;
  return { grid, legend, update, stop };
}
