// What both pages do first: settings, language, theme.

import { get } from "./api.js";
import { choose } from "./i18n.js";

/** Load the settings and obey them; returns the environment. */
export async function start() {
  const environment = await get("/ui/environment");
  obey(environment.settings);
  return environment;
}

/** Apply language and theme. */
export function obey(settings) {
  choose(settings.language);
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const apply = () => {
    const theme = settings.theme === "auto" ? (dark.matches ? "dark" : "light") : settings.theme;
    document.documentElement.dataset.theme = theme;
  };
  dark.onchange = apply;
  apply();
}
