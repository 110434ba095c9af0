// The live swarm: a cell for each sub-agent. Only what changed is touched, once a frame, so that 300
// agents stay fluid.

import { h, shape, STATES } from "./dom.js";
import { number, t } from "./i18n.js";

/** The grid and its legend; `update(agents)` takes the newest states. */
export function swarm(choose) {
  const cells = new Map();
  let wanted = null;
  let frame = 0;
  const grid = h("div", { class: "swarm", "aria-label": t("swarm.label"), on: { keydown: move, click: pick } });
  const counts = new Map();
  const legend = h("ul", { class: "legend", "aria-label": t("swarm.legend") }, STATES.map((state) => {
    const count = h("span", { class: "word" }, "0");
    counts.set(state, count);
    return h("li", { class: `state-${state}` }, shape(state), h("span", { class: "word" }, t(`agent.${state}`)), count);
  }));

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
    for (const cell of all) cell.tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  }

  const columns = () => getComputedStyle(grid).gridTemplateColumns.split(" ").length;

  function update(agents) {
    wanted = agents;
    if (!frame) frame = requestAnimationFrame(apply);
  }

  function apply() {
    frame = 0;
    const sums = Object.fromEntries(STATES.map((state) => [state, 0]));
    const fresh = [];
    for (const agent of wanted) {
      sums[agent.state] += 1;
      const known = cells.get(agent.id);
      if (!known) fresh.push(create(agent));
      else if (known.state !== agent.state) change(known, agent);
    }
    if (fresh.length) grid.append(...fresh);
    for (const [state, count] of counts) {
      const text = number(sums[state]);
      if (count.textContent !== text) count.textContent = text;
    }
  }

  function create(agent) {
    const button = h("button", {
      type: "button",
      tabindex: cells.size === 0 ? "0" : "-1",
      class: `state-${agent.state}`,
      "aria-label": label(agent),
      title: agent.name,
      data: { agent: agent.id },
    }, shape(agent.state));
    cells.set(agent.id, { button, state: agent.state, name: agent.name });
    return button;
  }

  function change(known, agent) {
    known.state = agent.state;
    known.button.className = `state-${agent.state}`;
    known.button.replaceChildren(shape(agent.state));
    known.button.setAttribute("aria-label", label(agent));
  }

  const label = (agent) => `${agent.name}: ${t(`agent.${agent.state}`)}`;
  grid.setAttribute("role", "group");
  return { grid, legend, update };
}
