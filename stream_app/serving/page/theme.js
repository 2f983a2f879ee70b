// Dark or light: set before anything is drawn, so that the page does not flash. Not a module for that reason.
"use strict";

(() => {
  const KEY = "stream-app.theme";
  const root = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)");

  /** What is remembered; nothing where storage is forbidden. */
  function remembered() {
    try {
      return localStorage.getItem(KEY);
    } catch {
      return null;
    }
  }

  function remember(theme) {
    try {
      localStorage.setItem(KEY, theme);
    } catch {
      // It holds until the page is left.
    }
  }

  const current = () => root.dataset.theme || (dark.matches ? "dark" : "light");

  if (["dark", "light"].includes(remembered())) root.dataset.theme = remembered();

  document.addEventListener("click", (event) => {
    if (!event.target.closest("#theme")) return;
    root.dataset.theme = current() === "dark" ? "light" : "dark";
    remember(root.dataset.theme);
  });
})();
