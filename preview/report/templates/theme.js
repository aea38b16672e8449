"use strict";
(() => {
  const root = document.documentElement;
  const theme = document.getElementById("theme");
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const show = (name) => {
    root.dataset.theme = name;
    theme.textContent = name === "dark" ? "Light" : "Dark";
  };
  let chosen = false;
  show(dark.matches ? "dark" : "light");
  dark.addEventListener("change", () => chosen || show(dark.matches ? "dark" : "light"));
  theme.addEventListener("click", () => {
    chosen = true;
    show(root.dataset.theme === "dark" ? "light" : "dark");
  });
})();
