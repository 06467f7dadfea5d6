// Runs before the first paint, so that a chosen theme does not flash; not a module for that reason.
(() => {
  const themes = ["system", "light", "dark"];
  const root = document.documentElement;

  const read = () => {
    try {
      return localStorage.getItem("theme") ?? "system";
    } catch {
      return "system"; // Storage may be forbidden; the system's choice is a good one.
    }
  };

  const apply = (theme) => {
    if (theme === "system") delete root.dataset.theme;
    else root.dataset.theme = theme;
    for (const button of document.querySelectorAll("[data-theme-switch]")) {
      button.hidden = false;
      button.querySelector("[data-theme-name]").textContent = theme;
    }
  };

  apply(read());
  document.addEventListener("DOMContentLoaded", () => apply(read()));
  document.addEventListener("click", (event) => {
    if (!event.target.closest("[data-theme-switch]")) return;
    const next = themes[(themes.indexOf(read()) + 1) % themes.length];
    try {
      localStorage.setItem("theme", next);
    } finally {
      apply(next);
    }
  });
})();
